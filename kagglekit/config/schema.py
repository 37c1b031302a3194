"""All of competition.yaml, with the checks that go across its sections. load.py reads it.

Paths in the file are relative to the folder that holds it. Precedence, weakest first: the
defaults, a model file's DEFAULTS, the YAML's `train:`, its `models.<name>.train:`, `--set`,
parameters that a search found.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from kagglekit.config.audio import Audio, Features
from kagglekit.config.base import Count, FilePath, Section, from_root
from kagglekit.config.competition import Competition, Network
from kagglekit.config.data import Data
from kagglekit.config.ensemble import Ensemble
from kagglekit.config.labels import Labels
from kagglekit.config.names import MODELS
from kagglekit.config.search import Range, Search
from kagglekit.config.submission import Submission
from kagglekit.config.train import Train
from kagglekit.config.validation import Validation
from kagglekit.errors import close_match


class ModelSection(Section):
    """What this competition changes about one architecture."""

    checkpoint: str | None = None
    """Hub name of a pretrained model, or its folder, relative to the YAML file as all paths are."""
    model: dict[str, Any] = Field(default_factory=dict)
    """Fields of the architecture's Config."""
    train: Train = Train()
    """What is set here overrides the top-level `train:` for this architecture alone."""
    features: Features = Features()
    """What is set here overrides the top-level `features:` for this architecture alone."""
    space: dict[str, Range | None] = Field(default_factory=dict)
    """What is set here overrides `search.space` for this architecture alone."""

    @field_validator("checkpoint")
    @classmethod
    def _folder_from_root(cls, checkpoint: str | None, info: ValidationInfo) -> str | None:
        folder = from_root(Path(checkpoint or ""), info)
        return str(folder) if checkpoint and folder.is_dir() else checkpoint


def _known_model(name: str) -> str:
    if name not in MODELS:
        raise ValueError(f"no model '{name}'; {close_match(name, MODELS)}")
    return name


ModelName = Annotated[str, AfterValidator(_known_model)]


class Config(Section):
    """All of competition.yaml."""

    competition: Competition
    labels: Labels
    data: Data = Data()
    network: Network = Network()
    audio: Audio = Audio()
    validation: Validation = Validation()
    features: Features = Features()
    train: Train = Train()
    """What is set here overrides each architecture's own defaults."""
    models: dict[ModelName, ModelSection] = Field(default_factory=dict)
    search: Search = Search()
    ensemble: Ensemble = Ensemble()
    submission: Submission = Submission()
    jobs: Count | Literal["auto"] = "auto"
    """Folds trained at once, each on its share of the cores; auto: on a CPU as many as there are cores, for
    trainings that are long enough for it."""
    processes: Count = 1
    """Processes that train one fold together, each on its part of every batch: for models that are large."""
    workspace: FilePath = Field(default=Path(".kagglekit"), validate_default=True)
    """Everything that can be made again."""
    submissions: FilePath = Field(default=Path("submissions"), validate_default=True)
    """CSVs and the leaderboard log."""

    @model_validator(mode="after")
    def _labels_fit(self) -> Config:
        for name in self.validation.prior:
            if name not in self.labels.classes:
                hint = close_match(name, self.labels.classes)
                raise ValueError(f"validation.prior names '{name}', which is not a class; {hint}")
        if self.labels.silence and self.data.noise_clips is None:
            raise ValueError("labels.silence is cut from noise, but data.noise_clips names none")
        self._check_separator()
        return self

    @property
    def separator(self) -> str | None:
        """Between the labels of a clip; None where each has one."""
        return None if self.data.label_table is None else self.data.label_table.separator

    def _check_separator(self) -> None:
        metric = self.competition.metric
        if (metric == "accuracy") != (self.separator is None):
            several = "of one label a clip" if metric == "accuracy" else "of several labels a clip"
            raise ValueError(
                f"competition.metric {metric} is {several}: data.label_table.separator says whether there are"
            )
        if self.separator is None:
            return
        if self.labels.filler or self.labels.silence or self.validation.prior:
            raise ValueError(
                "with several labels a clip, labels.filler and labels.silence are null, and there is no prior"
            )
        if odd := [name for name in self.labels.targets if self.separator in name]:
            raise ValueError(f"the label '{odd[0]}' holds the separator '{self.separator}'")
