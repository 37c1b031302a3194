"""Standard errors of any metric, by a jackknife over groups of rows, which err together."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

GROUPS = 20  # of rows, at most, that the jackknife leaves out in turn


def leave_groups_out(
    metric: Callable[..., float],
    truth: NDArray[np.bool_],
    scores: NDArray[np.floating[Any]],
    group: NDArray[np.integer[Any]],
    weight: NDArray[np.floating[Any]] | None = None,
    known: NDArray[np.bool_] | None = None,
) -> Floats:
    """Compute a metric without each group of rows in turn, (groups,), for a delete-a-group jackknife.

    Args:
        metric: of `truth`, `scores` and, if given, `weight` (or None) and `known`.
        truth, scores: (rows, classes).
        group: (rows,), number of each row's speaker; numbers that are equal modulo GROUPS go together.
        weight: (rows,).
        known: (rows, classes), whether it is known if the row has the class.
    """
    number = group % GROUPS
    columns = [truth, scores, weight, known]
    while columns[-1] is None:
        del columns[-1]
    kept = ([None if c is None else c[number != out] for c in columns] for out in np.unique(number))
    return np.array([metric(*each) for each in kept])


def jackknife_error(without: Floats) -> float:
    """Return the standard error of a metric, or of a difference of two, from `leave_groups_out` (groups,).

    Efron and Stein 1981 (https://doi.org/10.1214/aos/1176345462). A group without which
    the metric is undefined (NaN) is skipped.
    """
    without = without[~np.isnan(without)]
    groups = len(without)
    if not groups:
        return 0.0
    return float(np.sqrt((groups - 1) / groups * np.square(without - without.mean()).sum()))
