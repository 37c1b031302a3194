"""`search:`, hyperparameter searches and their ranges."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from kagglekit.config.base import Count, Section, from_root


class Range(Section):
    """The values that a search tries for one setting: choices, or low to high."""

    low: int | float | None = None
    """Smallest value."""
    high: int | float | None = None
    """Largest value."""
    log: bool = False
    """Draw uniformly in the logarithm."""
    choices: tuple[bool | int | float | str, ...] = ()
    """Values to choose from, in place of low and high."""

    def values(self) -> tuple[Any, ...]:
        """Return the choices, or (low, high)."""
        return self.choices or (self.low, self.high)

    @model_validator(mode="after")
    def _either(self) -> Range:
        if self.choices:
            if self.low is not None or self.high is not None or self.log:
                raise ValueError("give choices, or low and high, not both")
        elif self.low is None or self.high is None:
            raise ValueError("requires choices, or low and high")
        elif self.low >= self.high:
            raise ValueError(f"low {self.low:g} must be below high {self.high:g}")
        elif self.log and self.low <= 0:
            raise ValueError(f"low {self.low:g} must be above 0 with log: true")
        return self


class Search(Section):
    """The Optuna study of `kagglekit tune`."""

    trials: Count = 30
    """Total trials in the study, including finished and pruned ones of earlier calls."""
    epochs: Count | None = None
    """Epochs per trial; by default train.epochs."""
    folds: Count | None = None
    """Folds per trial; by default all."""
    objectives: Annotated[tuple[Literal["score", "params", "latency"], ...], Field(min_length=1)] = ("score",)
    """Objectives: CV score (maximised), number of parameters and milliseconds per clip (minimised). With
    several, no trial is pruned, and the Pareto front is shown."""
    storage: str | None = None
    """Optuna storage URL, e.g. postgresql://... or sqlite:///study.db, a path relative to the folder of the
    YAML file; by default a journal file in the workspace."""
    cpus: Count = 1
    """CPU cores for each fold or shard on a cluster."""
    gpus: Annotated[float, Field(ge=0)] = 0
    """GPUs for each fold or shard on a cluster; with 0.5 two share a GPU."""
    space: dict[str, Range | None] = Field(default_factory=dict)
    """Range for each setting, e.g. `train.lr: {low: 1e-4, high: 1e-2, log: true}`; null: not searched.
    `models.<name>.space` overrides it for one architecture."""
    seed: int = 0
    """Random seed of the sampler."""

    @field_validator("storage")
    @classmethod
    def _sqlite_file(cls, address: str | None, info: ValidationInfo) -> str | None:
        sqlite = re.fullmatch(r"(sqlite(?:\+\w+)?:)(?://(?:/(file:)?([^?]*)(\?.*)?)?)?", address or "")
        if sqlite is None:
            return address
        start, uri, path, options = sqlite.groups(default="")
        if path in ("", ":memory:"):
            raise ValueError(
                "a database in memory is gone when the search ends; name a file: sqlite:///study.db"
            )
        return f"{start}///{uri}{from_root(Path(path), info)}{options}"

    @field_validator("objectives")
    @classmethod
    def _score_first(cls, objectives: tuple[str, ...]) -> tuple[str, ...]:
        if objectives[0] != "score" or len(set(objectives)) < len(objectives):
            raise ValueError("score must come first, and no objective may be repeated")
        return objectives
