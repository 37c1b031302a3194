"""What a competition asks for: label kind, classes and metric."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kagglekit.config import Config
from kagglekit.config.names import DECISIONS, SET_DECISIONS, WITHOUT_FILLER, LabelKind, Takes
from kagglekit.scoring.metrics import Metric, make_metric
from kagglekit.scoring.numerics import Floats, logits_from, sigmoid, softmax

PARTS = ("keyword", "silence", "seen", "unseen")
"""Parts of the clips: target words, silence, filler words that the fold trains on, and unseen words."""


def labels_per_row(config: Config) -> tuple[int, int | None]:
    """Return how many labels a cell of the submission holds at least and at most, None: any number."""
    shape = config.submission.shape
    return {"label": (1, 1), "top_k": (1, config.submission.k)}.get(shape, (0, None))


@dataclass(frozen=True)
class Task:
    """Answers every question that depends on the label kind, the classes or the metric."""

    classes: tuple[str, ...]
    """In the order of all logits in the workspace."""
    targets: tuple[str, ...]
    """Words that are classes of their own."""
    filler: str | None
    """Class of all other words."""
    metric: Metric
    """The host's metric."""
    separator: str | None = None
    """Stands between the labels of a row that may have several; None where each row has one."""
    auxiliary: tuple[str, ...] = ()
    """Further classes that networks learn, without a score; after `classes` in their outputs."""

    @classmethod
    def of(cls, config: Config) -> Task:
        """Return the task that competition.yaml describes."""
        competition, kind = config.competition, config.labels.kind
        separator = config.data.separator if kind is LabelKind.MULTI else None
        least, most = labels_per_row(config)
        return cls(
            config.labels.all_classes,
            config.labels.targets,
            config.labels.filler,
            replace(
                make_metric(competition.metric, kind, competition.metric_parameters),
                least=least,
                most=most,
            ),
            separator,
            config.labels.auxiliary if isinstance(config.labels.auxiliary, tuple) else (),
        )

    @property
    def kind(self) -> LabelKind:
        """One class per row, or any number."""
        return LabelKind.SINGLE if self.separator is None else LabelKind.MULTI

    @property
    def multi(self) -> bool:
        """Whether a row may have several classes, or none."""
        return self.kind is LabelKind.MULTI

    @property
    def learnt(self) -> tuple[str, ...]:
        """The classes and the auxiliary ones: what networks learn."""
        return self.classes + self.auxiliary

    @property
    def filler_index(self) -> int:
        """Index of the filler class, which is the last one where there is any."""
        return len(self.classes) - 1

    @property
    def decisions(self) -> tuple[str, ...]:
        """Decisions that fit: with one class per row all, but those about a filler class where there is none;
        with several those about sets, where the metric judges such, else only that which fits nothing."""
        if self.multi:
            return SET_DECISIONS if self.metric.answer == "set" else SET_DECISIONS[:1]
        if self.filler is None and self.metric.answer != "class":  # of ranks and probabilities
            return DECISIONS[:1]
        return DECISIONS if self.filler is not None else WITHOUT_FILLER

    def label_of(self, word: str | None) -> str | None:
        """Return the class of a word, or None where it has none (no filler class, or the word is unknown).

        Of a cell with several labels, return those that are classes; "" where none is.
        """
        if word is None:  # the label table lacks the clip, and it may well be a target
            return None
        if self.separator is not None:
            named = {name.strip() for name in word.split(self.separator)}
            return self.separator.join(name for name in self.targets if name in named)
        return word if word in self.targets else self.filler

    def each(self, labels: pl.Series) -> pl.Series:
        """Split cells into lists of single labels."""
        if self.separator is None:
            return labels.to_frame().select(pl.concat_list(pl.all())).to_series()
        return labels.str.split(self.separator)

    def truth(self, labels: pl.Series) -> NDArray[np.bool_]:
        """Return whether each class is true of each row, (rows, classes)."""
        if self.separator is None:
            return np.stack([(labels == name).to_numpy() for name in self.classes], axis=1)
        return self._names(labels, self.classes)

    def _names(self, cells: pl.Series, names: Sequence[str]) -> NDArray[np.bool_]:
        """Return whether each cell of joined labels has each name, (rows, names)."""
        split = self.each(cells)
        return np.stack([split.list.contains(name).to_numpy() for name in names], axis=1)

    def learnt_truth(self, clips: pl.DataFrame) -> NDArray[np.bool_]:
        """Return whether each class that networks learn is true of each clip, (clips, learnt)."""
        truth = self.truth(clips["label"])
        if not self.auxiliary:
            return truth
        return np.hstack([truth, self._names(clips["word"].fill_null(""), self.auxiliary)])

    def named(self, clips: pl.DataFrame, column: str) -> NDArray[np.bool_]:
        """Return whether a column of the clips table, if it is there, names each class, (rows, classes)."""
        return self.learnt_named(clips, column)[:, : len(self.classes)]

    def learnt_named(self, clips: pl.DataFrame, column: str) -> NDArray[np.bool_]:
        """Return the same for each class that networks learn, (rows, learnt)."""
        if column not in clips.columns:
            return np.zeros((len(clips), len(self.learnt)), bool)
        return replace(self, classes=self.learnt).truth(clips[column].fill_null(""))

    def known(self, clips: pl.DataFrame) -> NDArray[np.bool_] | None:
        """Return whether it is known of each class if a row has it, (rows, classes); None where all is known.

        It is not known of classes without a loss, nor of secondary ones whose target is soft.
        """
        if not self.multi:
            return None
        unsure = self.named(clips, "masked") | self.named(clips, "soft")
        return ~unsure if unsure.any() else None

    def target(self, labels: pl.Series) -> NDArray[Any]:
        """Return the index of each row's class, (rows,); where rows may have several classes, `truth`."""
        truth = self.truth(labels)
        return truth if self.multi else truth.argmax(1)

    def one_hot(self, target: NDArray[Any]) -> NDArray[np.bool_]:
        """Return the truth (rows, classes) of what `target` returned."""
        return target if self.multi else target[:, None] == np.arange(len(self.classes))

    def probs(self, logits: Floats) -> NDArray[np.float64]:
        """Turn logits (rows, classes) into probabilities, by sigmoid where multi, else by softmax."""
        return sigmoid(logits) if self.multi else softmax(logits)

    def scores(self, logits: Floats) -> NDArray[Any]:
        """Turn logits (rows, classes) into what the metric computes on, (rows, classes).

        Log-odds rank as their probabilities do, and stay apart where these round to 1.
        """
        return logits if self.multi and self.metric.takes == Takes.RANKS else self.probs(logits)

    def logits(self, probs: Floats) -> NDArray[Any]:
        """Turn probabilities (rows, classes) into their logarithms, or into log-odds where multi."""
        return logits_from(probs, self.multi)
