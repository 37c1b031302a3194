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
from kagglekit.config.base import Count, OneOf, Section, WrittenPath, from_root
from kagglekit.config.competition import Competition, Network
from kagglekit.config.data import Data
from kagglekit.config.ensemble import Ensemble
from kagglekit.config.following import follow
from kagglekit.config.labels import Labels
from kagglekit.config.names import (
    FAMILIES,
    FAMILY_MEMBER,
    METRIC_KINDS,
    METRICS,
    MODELS,
    OF_ANSWERS,
    SHAPES,
    LabelKind,
    Takes,
)
from kagglekit.config.rows import Rows
from kagglekit.config.search import Range, Search
from kagglekit.config.submission import Submission
from kagglekit.config.train import Train
from kagglekit.config.validation import Validation
from kagglekit.errors import close_match

ModelName = Annotated[str, OneOf(MODELS, "model", "|".join(name + FAMILY_MEMBER for name in FAMILIES))]
"""An architecture of the registry, or a name like `timm:resnet18`."""


class ModelSection(Section):
    """Settings for one architecture."""

    checkpoint: str | None = None
    """Pretrained checkpoint: a name on the Hugging Face Hub, or a folder; of embedder, a file."""
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
    def _path_from_root(cls, checkpoint: str | None, info: ValidationInfo) -> str | None:
        path = from_root(Path(checkpoint or ""), info)
        return str(path) if checkpoint and path.exists() else checkpoint


class Config(Section):
    """All of competition.yaml."""

    competition: Competition
    """The competition and its host."""
    labels: Labels
    """The competition's classes."""
    data: Data
    """The recordings of train and test, and where their labels stand."""
    rows: Rows = Field(default=Rows(), exclude_if=lambda rows: rows == Rows())
    """What is scored and submitted."""
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
    models: dict[ModelName, ModelSection] = Field(default_factory=dict)
    """Settings for single architectures, by name."""
    search: Search = Search()
    """Hyperparameter searches."""
    ensemble: Ensemble = Ensemble()
    """How runs are blended and how the blend decides."""
    submission: Submission = Submission()
    """Shape and columns of the submission CSV."""
    jobs: Count | Literal["auto"] = "auto"
    """Folds to train at once, each with its share of the CPU cores; auto: one per core for long trainings
    of log-mel models on a CPU, else one."""
    processes: Count = 1
    """Processes that train one fold together, each on a part of every batch; for large models."""
    workspace: WrittenPath = Field(default=Path(".kagglekit"), validate_default=True)
    """Folder for everything that can be computed again."""
    submissions: WrittenPath = Field(default=Path("submissions"), validate_default=True)
    """Folder for submission CSVs and the leaderboard log."""

    @model_validator(mode="before")
    @classmethod
    def _defaults_follow(cls, config: Any) -> Any:
        return follow(config)

    @model_validator(mode="after")
    def _sections_fit(self) -> Config:
        labels, data = self.labels, self.data
        self._check_band()
        if self.validation.given and any(train.fold is not None for train in data.train):
            raise ValueError("validation.given and data.train's fold both give the folds; remove one")
        for name in self.validation.prior if labels.known else ():
            if name not in labels.all_classes:
                hint = close_match(name, labels.all_classes)
                raise ValueError(f"validation.prior names '{name}', which is not a class; {hint}")
        if labels.silence and data.noise is None:
            raise ValueError("labels.silence requires data.noise, from which silence is cut")
        metric, kind = self.competition.metric, labels.kind
        if kind not in (kinds := METRIC_KINDS.get(metric, tuple(LabelKind))):
            raise ValueError(
                f"competition.metric {metric} requires labels.kind {' or '.join(kinds)}, not {kind}"
            )
        separator = data.separator
        if (
            kind is LabelKind.MULTI
            and labels.known
            and (odd := [name for name in labels.targets if separator in name])
        ):
            raise ValueError(f"the label '{odd[0]}' contains the separator '{separator}'")
        self._check_shape()
        if kind is LabelKind.MULTI and self.validation.prior:
            raise ValueError("validation.prior needs labels.kind single")
        return self

    def _check_shape(self) -> None:
        """Refuse answers in the submission where the metric takes probabilities."""
        info, shape = METRICS.get(self.competition.metric), self.submission.shape
        if info is None or info.takes == Takes.DECISIONS:
            return
        if shape in OF_ANSWERS or self.submission.answers:
            fitting = ", ".join(name for name in SHAPES if name not in OF_ANSWERS)
            raise ValueError(
                f"competition.metric {self.competition.metric} takes probabilities, and submission.shape "
                f"{shape}{', answers: true,' if shape == 'long' else ''} has answers; it needs {fitting}"
            )

    def _check_band(self) -> None:
        """Refuse mel bands above half the sample rate."""
        nyquist = self.audio.sample_rate / 2
        sections = {f"models.{name}.features": model.features for name, model in self.models.items()}
        for key, features in {"features": self.features, **sections}.items():
            if features.fmax > nyquist and (key == "features" or "fmax" in features.model_fields_set):
                raise ValueError(
                    f"{key}.fmax is {features.fmax:g} Hz, above {nyquist:g} Hz, half the sample rate: "
                    f"set it to at most {nyquist:g}"
                )
