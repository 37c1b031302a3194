"""Metrics that `competition.metric` names. Of all of them, higher is better."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Truth = NDArray[np.bool_]
Scores = NDArray[np.floating[Any]]
Floats = NDArray[np.float64]

PAIRS = 65_536  # (clip, label) pairs compared at a time: tens of MB with some dozens of classes
GROUPS = 20  # of clips, at most, that the jackknife leaves out in turn


@dataclass(frozen=True)
class Metric:
    """A metric of true classes (rows, classes) and scores of any scale (rows, classes)."""

    name: str
    compute: Callable[[Truth, Scores], float]
    ranks: bool
    """Whether it judges how probabilities rank; else it judges the likeliest class of each row alone."""

    def __call__(self, truth: Truth, scores: Scores) -> float:
        return self.compute(truth, scores)


def accuracy(truth: Truth, scores: Scores) -> float:
    """Return the share of rows whose likeliest class is true."""
    return float(truth[np.arange(len(truth)), scores.argmax(1)].mean())


def lwlrap(truth: Truth, scores: Scores) -> float:
    """Return the label-weighted label-ranking average precision of Freesound 2019; 0 without any label.

    For every true label, the share of true ones among the labels of its clip that rank as high or higher;
    the mean over all true labels of all clips. (Fonseca et al. 2019, arXiv:1906.02975. Equal to
    scikit-learn's label_ranking_average_precision_score with each clip weighted by its number of labels.)
    """
    clip, label = np.nonzero(truth)
    precision = np.empty(len(clip))
    for start in range(0, len(clip), PAIRS):
        rows, here = clip[start : start + PAIRS], slice(start, start + PAIRS)
        above = scores[rows] >= scores[rows, label[here]][:, None]
        precision[here] = (above & truth[rows]).sum(1) / above.sum(1)
    return float(precision.mean()) if len(clip) else 0.0


def average_precisions(truth: Truth, scores: Scores) -> Floats:
    """Return the average precision of each class: the mean precision at the rank of each of its clips.

    Clips with equal scores share a rank, as in scikit-learn's average_precision_score.

    Returns:
        (classes,), NaN where no clip has the class.
    """
    precisions = np.full(truth.shape[1], np.nan)
    for number in np.flatnonzero(truth.any(0)):
        order = np.argsort(-scores[:, number], kind="stable")
        ranked, right = scores[order, number], truth[order, number]
        last = np.append(ranked[1:] != ranked[:-1], True)  # of those that share a rank
        hits = np.cumsum(right)[last]
        precision = hits / np.flatnonzero(np.append(False, last))
        precisions[number] = np.diff(hits, prepend=0) @ precision / hits[-1]
    return precisions


def mean_average_precision(truth: Truth, scores: Scores) -> float:
    """Return the mean of `average_precisions` over the classes that have clips; 0 where none has."""
    return float(np.nanmean(average_precisions(truth, scores))) if truth.any() else 0.0


METRICS = {
    "accuracy": Metric("accuracy", accuracy, ranks=False),
    "lwlrap": Metric("lwlrap", lwlrap, ranks=True),
    "map": Metric("map", mean_average_precision, ranks=True),
}


def leave_groups_out(
    metric: Callable[[Truth, Scores], float], truth: Truth, scores: Scores, group: NDArray[np.integer[Any]]
) -> Floats:
    """Compute a metric without each group of clips in turn, (groups,), for a delete-a-group jackknife.

    Args:
        metric: of `truth` and `scores`.
        truth, scores: (clips, classes).
        group: (clips,), number of each clip's speaker; numbers that are equal modulo GROUPS go together.
    """
    number = group % GROUPS
    return np.array([metric(truth[number != out], scores[number != out]) for out in np.unique(number)])


def jackknife_error(without: Floats) -> float:
    """Return the standard error of a metric, or of a difference of two, from `leave_groups_out` (groups,).

    Efron and Stein 1981 (https://doi.org/10.1214/aos/1176345462).
    """
    groups = len(without)
    return float(np.sqrt((groups - 1) / groups * np.square(without - without.mean()).sum()))
