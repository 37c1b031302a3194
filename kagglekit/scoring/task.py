"""What a competition asks: its label kind, classes, metric, and what a submission holds of each row."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kagglekit.config import Config
from kagglekit.scoring.numerics import sigmoid, softmax

PARTS = ("keyword", "silence", "seen", "unseen")
"""What a clip is: of a target class, silence, a filler word that training hears, one that it never hears."""

SMALLEST = 1e-12  # added to a probability before its logarithm


class LabelKind(StrEnum):
    """How many classes a row may be of."""

    SINGLE = "single"
    MULTI = "multi"


@dataclass(frozen=True)
class Task:
    """Answers every question that depends on the label kind or on the classes."""

    classes: tuple[str, ...]
    """In the order of every logit in the workspace."""
    targets: tuple[str, ...]
    """Words that are classes of their own."""
    filler: str | None
    """The class of every other word."""
    metric: str
    """What the host scores; a name of kagglekit.scoring.metrics."""
    label_column: str
    """Column of the answer in a submission of labels."""
    separator: str | None = None
    """Between the labels of a row that may have several; None where each has one."""

    @classmethod
    def of(cls, config: Config) -> Task:
        """The task that competition.yaml describes."""
        return cls(
            config.labels.classes,
            config.labels.targets,
            config.labels.filler,
            config.competition.metric,
            config.submission.label,
            config.separator,
        )

    @property
    def kind(self) -> LabelKind:
        """One class a row, or any number."""
        return LabelKind.SINGLE if self.separator is None else LabelKind.MULTI

    @property
    def multi(self) -> bool:
        """Whether a row may be of several classes, or of none."""
        return self.kind is LabelKind.MULTI

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of a submission besides ids: the answer, or a probability for each class."""
        return self.classes if self.multi else (self.label_column,)

    def label_of(self, word: str | None) -> str | None:
        """The class of a word; None where it has none (no filler class, or nobody knows the word).

        Of a cell with several labels, the classes among them; where there is none, "": no class at all.
        """
        if word is None:  # the label table lacks the clip, and it may well be a target
            return None
        if self.separator is not None:
            named = {name.strip() for name in word.split(self.separator)}
            return self.separator.join(name for name in self.targets if name in named)
        return word if word in self.targets else self.filler

    def each(self, labels: pl.Series) -> pl.Series:
        """The single labels of cells, one list a cell."""
        if self.separator is None:
            return labels.to_frame().select(pl.concat_list(pl.all())).to_series()
        return labels.str.split(self.separator)

    def truth(self, labels: pl.Series) -> NDArray[np.bool_]:
        """Which classes each row is of: (rows, classes)."""
        if self.separator is None:
            return np.stack([(labels == name).to_numpy() for name in self.classes], axis=1)
        split = self.each(labels)
        return np.stack([split.list.contains(name).to_numpy() for name in self.classes], axis=1)

    def probs(self, logits: NDArray[Any]) -> NDArray[np.float64]:
        """Logits (rows, classes) -> probabilities: by softmax for one class a row, else by sigmoid."""
        return sigmoid(logits) if self.multi else softmax(logits)

    def logits(self, probs: NDArray[Any]) -> NDArray[np.float64]:
        """Probabilities (rows, classes) -> logits: their logarithm, or their log-odds where multi."""
        logits: NDArray[np.float64] = np.log(probs + SMALLEST)
        return logits - np.log1p(SMALLEST - probs) if self.multi else logits
