"""The competition's classes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from kagglekit.config.base import Section, Share


class Labels(Section):
    """The competition's classes."""

    targets: Annotated[tuple[str, ...], Field(min_length=1)]
    """Words that are classes of their own."""
    filler: str | None = "unknown"
    """The class of every other word."""
    silence: str | None = "silence"
    """The class of clips without speech, cut from the noise recordings. null: no such class, and no noise is
    added in training either."""
    silence_share: Share = 0.1
    """Silence clips made for training, as a share of the spoken ones."""
    keep_fillers: Annotated[float, Field(gt=0)] | Literal["all"] = "all"
    """Filler clips trained on: all, a number (> 1), or a share (<= 1)."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Targets, then silence, then filler: the order of every logit in the workspace."""
        return self.targets + tuple(x for x in (self.silence, self.filler) if x is not None)

    @model_validator(mode="after")
    def _distinct(self) -> Labels:
        twice = sorted({c for c in self.classes if self.classes.count(c) > 1})
        if twice:
            raise ValueError(f"named twice: {', '.join(twice)}")
        return self
