"""Folds, and what the hidden test is like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, model_validator

from kagglekit.config.base import Section, Share


class Validation(Section):
    """Folds, and the test prior that the CV score is weighted to."""

    folds: Annotated[int, Field(ge=2, le=20)] = 5
    seed: int = 0
    prior: Mapping[str, Share] = Field(default_factory=dict)
    """Share of a class in the hidden test; classes not named divide the rest equally.
    Empty: all classes weigh as they do in the training data."""
    never_heard: Share = 0.5
    """Share of the test's filler clips whose word no training clip contains."""

    @model_validator(mode="after")
    def _prior_is_a_share(self) -> Validation:
        if sum(self.prior.values()) > 1 + 1e-9:
            raise ValueError(f"the prior adds up to {sum(self.prior.values()):g}, more than 1")
        return self
