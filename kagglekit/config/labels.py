"""`labels:`, the competition's classes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from kagglekit.config.base import Section, Share


class Labels(Section):
    """The competition's classes."""

    targets: Annotated[tuple[str, ...], Field(min_length=1)]
    """Labels that are classes of their own."""
    filler: str | None = "unknown"
    """Class of every other label; null: clips with other labels are not trained on."""
    silence: str | None = "silence"
    """Class of clips without speech, cut from the noise recordings. null: there is no such class, and
    training adds no background noise."""
    silence_share: Share = 0.1
    """Number of silence clips made for training, as a share of the spoken clips."""
    keep_fillers: Annotated[float, Field(gt=0)] | Literal["all"] = "all"
    """Filler clips to train on: all, a number (> 1), or a share (<= 1)."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Return targets, silence, filler: the order of the logits everywhere."""
        return self.targets + tuple(x for x in (self.silence, self.filler) if x is not None)

    @model_validator(mode="after")
    def _distinct(self) -> Labels:
        twice = sorted({c for c in self.classes if self.classes.count(c) > 1})
        if twice:
            raise ValueError(f"duplicate labels: {', '.join(twice)}")
        return self
