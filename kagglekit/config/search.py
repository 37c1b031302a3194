"""What competition.yaml may say about searches: `search:`, and the ranges in it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from kagglekit.config.base import Count, Section


class Range(Section):
    """What a search tries of one setting: choices, or low to high."""

    low: int | float | None = None
    high: int | float | None = None
    log: bool = False
    """Whether draws are even in the logarithm."""
    choices: tuple[bool | int | float | str, ...] = ()

    def values(self) -> tuple[Any, ...]:
        """The choices, or both ends."""
        return self.choices or (self.low, self.high)

    @model_validator(mode="after")
    def _either(self) -> Range:
        if self.choices:
            if self.low is not None or self.high is not None or self.log:
                raise ValueError("give choices, or low and high, not both")
        elif self.low is None or self.high is None:
            raise ValueError("needs choices, or low and high")
        elif self.low >= self.high or (self.log and self.low <= 0):
            raise ValueError(f"low {self.low:g} to high {self.high:g} is no range to draw from")
        return self


class Search(Section):
    """The Optuna study of `kagglekit tune`."""

    trials: Count = 30
    """Trials in the study, finished and pruned ones of earlier calls included."""
    epochs: Count | None = None
    """Epochs of a trial; by default train.epochs."""
    folds: Count | None = None
    """Folds of a trial; by default all."""
    objectives: Annotated[tuple[Literal["score", "params", "latency"], ...], Field(min_length=1)] = ("score",)
    """What is searched for: the CV score up, the number of parameters down, the ms that a clip takes down.
    With several, nothing is pruned, and what no other trial beats in all of them is shown."""
    storage: str | None = None
    """Optuna storage address, e.g. postgresql://...; by default a journal file in the workspace."""
    cpus: Count = 1
    """Cores, and threads, of a fold or a shard on a cluster."""
    gpus: Annotated[float, Field(ge=0)] = 0
    """GPUs of a fold or a shard on a cluster; 0.5: two share one."""
    space: dict[str, Range | None] = Field(default_factory=dict)
    """Ranges by setting, e.g. `train.lr: {low: 1e-4, high: 1e-2, log: true}`; null: not searched.
    `models.<name>.space` overrides it for one architecture."""
    seed: int = 0

    @field_validator("objectives")
    @classmethod
    def _score_first(cls, objectives: tuple[str, ...]) -> tuple[str, ...]:
        if objectives[0] != "score" or len(set(objectives)) < len(objectives):
            raise ValueError("score comes first, and each is named once")
        return objectives
