"""Metrics of competitions in which a clip may have several labels: ranks of probabilities, not answers.

Each takes which labels are right and how likely each is said to be, both (clips, classes), and is better
when higher. `competition.metric` names them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Truth = NDArray[np.bool_]
Scores = NDArray[np.floating[Any]]
Floats = NDArray[np.float64]
Metric = Callable[[Truth, Scores], float]

PAIRS = 65_536  # (clip, label) pairs compared at a time: tens of MB with some dozens of classes
GROUPS = 20  # of clips, each left out in turn to tell a metric's error


def lwlrap(truth: Truth, scores: Scores) -> float:
    """Label-weighted label-ranking average precision, of DCASE 2019 task 2 and Freesound Audio Tagging 2019.

    For every right label: the share of right ones among the labels of its clip that are ranked as high or
    higher; the mean over all right labels of all clips. (Fonseca et al. 2019, arXiv:1906.02975. Equal to
    scikit-learn's label_ranking_average_precision_score with each clip weighing as much as it has labels.)

    Args:
        truth: (clips, classes).
        scores: (clips, classes), of any scale.

    Returns:
        In [0, 1]; 0 where no clip has a label.
    """
    clip, label = np.nonzero(truth)
    precision = np.empty(len(clip))
    for start in range(0, len(clip), PAIRS):
        rows, here = clip[start : start + PAIRS], slice(start, start + PAIRS)
        above = scores[rows] >= scores[rows, label[here]][:, None]
        precision[here] = (above & truth[rows]).sum(1) / above.sum(1)
    return float(precision.mean()) if len(clip) else 0.0


def average_precisions(truth: Truth, scores: Scores) -> Floats:
    """Average precision of each class: the mean precision at the rank of each of its clips, ties at once.

    Equal to scikit-learn's average_precision_score.

    Args:
        truth, scores: as `lwlrap`.

    Returns:
        (classes,), NaN where no clip is of the class.
    """
    found = np.full(truth.shape[1], np.nan)
    for name in np.flatnonzero(truth.any(0)):
        order = np.argsort(-scores[:, name], kind="stable")
        ranked, right = scores[order, name], truth[order, name]
        last = np.append(ranked[1:] != ranked[:-1], True)  # of those that share a rank
        hits = np.cumsum(right)[last]
        precision = hits / np.flatnonzero(np.append(False, last))
        found[name] = np.diff(hits, prepend=0) @ precision / hits[-1]
    return found


def mean_average_precision(truth: Truth, scores: Scores) -> float:
    """Mean over the classes that have clips of their `average_precisions`; 0 where none has."""
    return float(np.nanmean(average_precisions(truth, scores))) if truth.any() else 0.0


METRICS: dict[str, Metric] = {"lwlrap": lwlrap, "map": mean_average_precision}


def left_out(metric: Metric, truth: Truth, scores: Scores, group: NDArray[np.integer[Any]]) -> Floats:
    """The metric without each group of clips in turn: what a delete-a-group jackknife starts from.

    Args:
        metric, truth, scores: what is judged.
        group: (clips,), which clips go together, as those of one speaker do.

    Returns:
        (groups,), of at most GROUPS groups.
    """
    of = group % GROUPS
    return np.array([metric(truth[of != number], scores[of != number]) for number in np.unique(of)])


def standard_error(without: Floats) -> float:
    """Of a metric, or of a difference of two, by its values `left_out` (groups,) (Efron and Stein 1981)."""
    groups = len(without)
    return float(np.sqrt((groups - 1) / groups * np.square(without - without.mean()).sum()))
