"""How far clips lie from those that a fold trains on: validation clips, and test clips beside them.

A fold that holds out what the test has new, such as its sites, has validation clips as far from its training
clips as the test's are; a fold that does not, has them nearer. This needs no label, and it asks of the folds
what the CV score asks of them.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kagglekit.verdict.classifier import Doubles, Ints

NEIGHBOURS = 3
USUAL = 0.98  # quantile of the validation clips beyond which a clip is unlike all that is trained on


class Folds(NamedTuple):
    """The training data of each fold."""

    fold: Ints
    """(clips,), the fold that validates the clip; negative: none does."""
    heldout: Ints
    """(clips,), the fold whose training leaves the clip out, too; negative: none does."""
    weight: Doubles
    """(clips,), in the score; 0 of clips that no fold validates."""

    @property
    def numbers(self) -> list[int]:
        """The folds that validate some clip."""
        return sorted({int(fold) for fold in self.fold if fold >= 0})

    @property
    def judged(self) -> NDArray[np.bool_]:
        """(clips,), whether a fold validates the clip."""
        return self.fold >= 0


class Distances(NamedTuple):
    """Distance of clips to the nearest that are trained on."""

    validation: Doubles
    """(validated clips,), to the training clips of their fold."""
    test: Doubles
    """(test clips,), to the training clips of a fold, mean over the folds."""


def distances(train: Doubles, test: Doubles, folds: Folds) -> Distances:
    """Compute distances between rows (clips, columns) of standardised columns.

    A distance is the root mean square of those to the NEIGHBOURS nearest.
    """
    mean, spread = train.mean(0), train.std(0) + 1e-9
    train, test = (train - mean) / spread, (test - mean) / spread
    among, across = _squares(train, train), _squares(test, train)
    validation, of_test = np.zeros(len(train)), []
    for number in folds.numbers:
        trained = (folds.fold != number) & (folds.heldout != number)
        if not trained.any():
            continue
        judged = folds.fold == number
        validation[judged] = _near(among[np.ix_(judged, trained)])
        of_test.append(_near(across[:, trained]))
    return Distances(validation[folds.judged], np.mean(of_test, axis=0))


def _squares(rows: Doubles, others: Doubles) -> Doubles:
    """Return the squared distance of each row to each other, (rows, others)."""
    squares: Doubles = np.square(rows).sum(1)[:, None] + np.square(others).sum(1) - 2 * rows @ others.T
    return np.maximum(squares, 0)


def _near(squares: Doubles) -> Doubles:
    most = min(NEIGHBOURS, squares.shape[1])
    near: Doubles = np.sqrt(np.partition(squares, most - 1, axis=1)[:, :most].mean(1))
    return near


def beyond(values: Doubles, usual: Doubles, weight: Doubles) -> NDArray[np.bool_]:
    """Tell which values lie beyond the USUAL quantile of others (n,) that are weighted."""
    order = np.argsort(usual, kind="stable")
    share = np.cumsum(weight[order]) / max(weight.sum(), 1e-12)
    limit = usual[order][min(int(np.searchsorted(share, USUAL)), len(usual) - 1)]
    new: NDArray[np.bool_] = values > limit
    return new
