"""Out-of-fold predictions with the targets, weights and groups that judge them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kagglekit.scoring.numerics import Floats
from kagglekit.scoring.task import Task

Ints = NDArray[np.integer[Any]]


class Oof(NamedTuple):
    """Out-of-fold predictions of one or several runs."""

    probs: Floats
    """(runs, rows, classes)."""
    target: NDArray[Any]
    """(rows,), index of the true class; where multi (rows, classes), whether each class is true."""
    weight: Floats
    """(rows,), >= 0, weight of each row in the score, on any scale."""
    fold: Ints
    """(rows,), the fold whose models predicted the row."""
    group: Ints
    """(rows,), number of the row's speaker: the bootstrap and the jackknife draw groups."""
    ood: Floats
    """(rows, scores), out-of-distribution scores of the logits (kagglekit.ensemble.decisions), if any."""
    known: NDArray[np.bool_] | None = None
    """(rows, classes), whether it is known if the row has the class; None: of all."""
    recording: Ints | None = None
    """(rows,), number of the row's recording; None where no recording has two rows."""
    start: Floats | None = None
    """(rows,), place of the row in its recording: rises with time."""

    @classmethod
    def from_clips(
        cls, clips: pl.DataFrame, probs: Floats, task: Task, weight: Floats, ood: Floats | None = None
    ) -> Oof:
        """Join predictions with the clips that they belong to.

        Args:
            clips: rows of the clips table with label, fold, speaker and clip_id.
            probs: (runs, rows, classes).
            weight: (rows,).
            ood: (rows, scores).
        """
        no_scores = np.empty((len(clips), 0))
        target, fold = task.target(clips["label"]), clips["fold"].to_numpy()
        scores = no_scores if ood is None else ood
        return cls(
            *(probs, target, weight, fold, group_of(clips), scores, task.known(clips)),
            *recordings_of(clips),
        )

    @property
    def share(self) -> Floats:
        """(rows,), the weights scaled to sum to 1."""
        share: Floats = self.weight / max(self.weight.sum(), 1e-12)
        return share

    def select(self, rows: NDArray[np.bool_] | Ints) -> Oof:
        """Return some of the rows, by mask or by index."""
        columns: dict[str, Any] = {name: column for name, column in self._asdict().items() if name != "probs"}
        for name, column in columns.items():
            columns[name] = None if column is None else column[rows]
        return self._replace(probs=self.probs[:, rows], **columns)

    def sample(self, count: int) -> Oof:
        """Return `count` rows drawn with a fixed seed, or all rows where there are no more."""
        if len(self.target) <= count:
            return self
        return self.select(np.sort(np.random.default_rng(0).choice(len(self.target), count, replace=False)))

    def with_probs(self, probs: Floats) -> Oof:
        """Return the same rows with predictions (rows, classes) of one blend."""
        return self._replace(probs=probs[None])


def recordings_of(clips: pl.DataFrame) -> tuple[Ints, Floats] | tuple[None, None]:
    """Return the number of each clip's recording and its place in time; None where no recording has two.

    Rows of the test without annotations lie in the clips table in the order of time.
    """
    if "path" not in clips.columns:
        return None, None
    path = clips.select(pl.coalesce("path", "clip_id")).to_series().to_numpy()
    names, number = np.unique(path, return_inverse=True)
    if len(names) == len(clips):
        return None, None
    return number, clips.select(pl.coalesce("start", "row").cast(pl.Float64)).to_series().to_numpy()


def group_of(clips: pl.DataFrame) -> NDArray[np.int64]:
    """Return a number for each clip's speaker, (clips,); a clip without a speaker is a group of its own."""
    names = clips.select(pl.coalesce("speaker", "clip_id")).to_series()
    return np.unique(names.to_numpy(), return_inverse=True)[1]
