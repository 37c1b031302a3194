"""`Config`, all of competition.yaml, with the checks between its sections.

Paths are relative to the folder of the YAML file. Precedence, weakest first: the defaults, an
architecture's DEFAULTS, the YAML's `train:`, its `models.<name>.train:`, `--set`, the parameters
that a search found.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from kagglekit.config.audio import Audio, Features
from kagglekit.config.base import Count, FilePath, OneOf, Section, from_root
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
    """Settings for one architecture."""

    checkpoint: str | None = None
    """Pretrained checkpoint: a name on the Hugging Face Hub, or a folder."""
    model: dict[str, Any] = Field(default_factory=dict)
    """Parameters of the architecture, the fields of its Config."""
    train: Train = Train()
    """Overrides the top-level `train` for this architecture."""
    features: Features = Features()
    """Overrides the top-level `features` for this architecture."""
    space: dict[str, Range | None] = Field(default_factory=dict)
    """Overrides `search.space` for this architecture."""

    @field_validator("checkpoint")
    @classmethod
    def _folder_from_root(cls, checkpoint: str | None, info: ValidationInfo) -> str | None:
        folder = from_root(Path(checkpoint or ""), info)
        return str(folder) if checkpoint and folder.is_dir() else checkpoint


class Config(Section):
    """All of competition.yaml."""

    competition: Competition
    """The competition and its host."""
    labels: Labels
    """The competition's classes."""
    data: Data = Data()
    """The host's files and the clips in them."""
    network: Network = Network()
    """Time-outs and retries of requests to the host."""
    audio: Audio = Audio()
    """Sample rate and length of a clip."""
    validation: Validation = Validation()
    """Folds and the test prior."""
    features: Features = Features()
    """Log-mel spectrogram."""
    train: Train = Train()
    """Training; what is set here overrides every architecture's own defaults."""
    models: dict[Annotated[str, OneOf(MODELS, "model")], ModelSection] = Field(default_factory=dict)
    """Settings for single architectures, by name."""
    search: Search = Search()
    """Hyperparameter searches."""
    ensemble: Ensemble = Ensemble()
    """How runs are blended and how the blend decides."""
    submission: Submission = Submission()
    """Columns of the submission CSV."""
    jobs: Count | Literal["auto"] = "auto"
    """Folds to train at once, each with its share of the CPU cores; auto: one per core for long trainings
    of log-mel models on a CPU, else one."""
    processes: Count = 1
    """Processes that train one fold together, each on a part of every batch; for large models."""
    workspace: FilePath = Field(default=Path(".kagglekit"), validate_default=True)
    """Folder for everything that can be computed again."""
    submissions: FilePath = Field(default=Path("submissions"), validate_default=True)
    """Folder for submission CSVs and the leaderboard log."""

    @model_validator(mode="after")
    def _labels_fit(self) -> Config:
        for name in self.validation.prior:
            if name not in self.labels.classes:
                hint = close_match(name, self.labels.classes)
                raise ValueError(f"validation.prior names '{name}', which is not a class; {hint}")
        if self.labels.silence and self.data.noise_clips is None:
            raise ValueError("labels.silence requires data.noise_clips, from which silence is cut")
        self._check_separator()
        return self

    @property
    def separator(self) -> str | None:
        """Return the separator of a clip's labels; None if each clip has one label."""
        return None if self.data.label_table is None else self.data.label_table.separator

    def _check_separator(self) -> None:
        metric, separator = self.competition.metric, self.separator
        if (separator is None) != (metric == "accuracy"):
            requires = "one label" if metric == "accuracy" else "several labels"
            state = "not set" if separator is None else f"'{separator}'"
            raise ValueError(
                f"competition.metric {metric} requires {requires} per clip, "
                f"but data.label_table.separator is {state}"
            )
        if separator is None:
            return
        if self.labels.filler or self.labels.silence or self.validation.prior:
            raise ValueError(
                "with several labels per clip set labels.filler: null and labels.silence: null, and no prior"
            )
        if odd := [name for name in self.labels.targets if separator in name]:
            raise ValueError(f"the label '{odd[0]}' contains the separator '{separator}'")
