"""`validation:`, folds and the class prior of the test set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, model_validator

from kagglekit.config.base import FilePath, Section, Share


class FoldTable(Section):
    """Folds that a table of your own gives, as people share them in a competition's forum."""

    table: FilePath
    """CSV of ids and folds, relative to the folder of competition.yaml."""
    file: str | None = None
    """Column that names the recording, with or without folder and ending; null: the first but `fold`."""
    fold: str = "fold"
    """Column with the fold that validates the recording; where it is empty, it is always trained on."""


class Validation(Section):
    """Folds, and the test prior that weights the CV score."""

    folds: Annotated[int, Field(ge=2, le=20)] = 5
    """Number of folds; a speaker's clips are all in one fold."""
    given: FoldTable | None = None
    """Take the folds from a table instead."""
    seed: int = 0
    """Random seed of the folds."""
    prior: Mapping[str, Share] = Field(default_factory=dict)
    """Share of each class in the hidden test set; classes not named divide the rest equally. Empty: the CV
    score weights classes as the training data does."""
    never_heard: Share = 0.5
    """Share of the test set's filler clips with an unseen word, one that no training clip contains."""

    @model_validator(mode="after")
    def _prior_is_a_share(self) -> Validation:
        if sum(self.prior.values()) > 1 + 1e-9:
            raise ValueError(f"the prior adds up to {sum(self.prior.values()):g}, more than 1")
        return self
