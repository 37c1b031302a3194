"""Metrics of how scores rank, and log-loss.

Each takes truth (rows, classes) bool, scores (rows, classes) and the weights of the rows (rows,). Rows with
equal scores share a rank. All but lwlrap take the weights of (row, class) pairs (rows, classes), too: 0 where
it is unknown if the row has the class.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Truth = NDArray[np.bool_]
Scores = NDArray[np.floating[Any]]
Floats = NDArray[np.float64]

PAIRS = 65_536  # (row, label) pairs compared at a time: tens of MB with some dozens of classes
PADDING = 5  # rows of ones in BirdCLEF 2023
SMALLEST = 1e-15  # probability inside Kaggle's log-loss


def lwlrap(truth: Truth, scores: Scores, weight: Floats) -> float:
    """Return the label-weighted label-ranking average precision of Freesound 2019; 0 without any label.

    For every true label, the share of true ones among the labels of its row that rank as high or higher;
    the mean over all true labels of all rows. (Fonseca et al. 2019, arXiv:1906.02975. Equal to
    scikit-learn's label_ranking_average_precision_score with each row weighted by its number of labels.)
    """
    row, label = np.nonzero(truth)
    precision = np.empty(len(row))
    for start in range(0, len(row), PAIRS):
        rows, here = row[start : start + PAIRS], slice(start, start + PAIRS)
        above = scores[rows] >= scores[rows, label[here]][:, None]
        precision[here] = (above & truth[rows]).sum(1) / above.sum(1)
    return float(weight[row] @ precision / weight[row].sum()) if len(row) else 0.0


def _curve(truth: NDArray[np.bool_], scores: Scores, weight: Floats) -> tuple[Floats, Floats]:
    """Return the weights of true and false positives at each distinct score, the highest first.

    Args:
        truth, scores, weight: (rows,).
    """
    order = np.argsort(scores)[::-1]  # the order of equal scores does not matter
    ranked, share = scores[order], weight[order]
    last = np.append(ranked[1:] != ranked[:-1], True)  # of those that share a rank
    right = np.cumsum(share * truth[order])[last]
    return right, np.cumsum(share)[last] - right


def _average_precision(right: Floats, wrong: Floats) -> float:
    """Return the mean precision at the rank of each positive; NaN without any."""
    if not len(right) or right[-1] <= 0:
        return np.nan
    total = right + wrong
    precision = right / np.where(total > 0, total, 1)
    return float((np.diff(right, prepend=0) * precision).sum() / right[-1])


def _area(right: Floats, wrong: Floats) -> float:
    """Return the area under the ROC curve; NaN without a positive or a negative."""
    if not len(right) or right[-1] <= 0 or wrong[-1] <= 0:
        return np.nan
    middle = right - np.diff(right, prepend=0) / 2  # a positive and a negative of one score count half
    # not `@`: BLAS threads that spin made it half of the time
    return float((np.diff(wrong, prepend=0) * middle).sum() / (right[-1] * wrong[-1]))


def _by_class(
    value: Callable[[Floats, Floats], float], truth: Truth, scores: Scores, weight: Floats
) -> Floats:
    """Compute a value of each class's curve, (classes,); NaN where no row has the class."""
    values = np.full(truth.shape[1], np.nan)
    for number in np.flatnonzero(truth.any(0)):  # each column copied: a strided one is twice as slow
        share = weight if weight.ndim == 1 else weight[:, number].copy()
        values[number] = value(*_curve(truth[:, number].copy(), scores[:, number].copy(), share))
    return values


def _pooled(value: Callable[[Floats, Floats], float], truth: Truth, scores: Scores, weight: Floats) -> float:
    """Compute a value of the curve of all (row, class) pairs together."""
    share = np.repeat(weight, truth.shape[1]) if weight.ndim == 1 else weight.ravel()
    return value(*_curve(truth.ravel(), scores.ravel(), share))


def average_precisions(truth: Truth, scores: Scores, weight: Floats | None = None) -> Floats:
    """Return the average precision of each class: the mean precision at the rank of each of its rows.

    As scikit-learn's average_precision_score.

    Returns:
        (classes,), NaN where no row has the class.
    """
    weight = np.ones(len(truth)) if weight is None else weight
    return _by_class(_average_precision, truth, scores, weight)


def average_precision(truth: Truth, scores: Scores, weight: Floats) -> float:
    """Return the mean of `average_precisions` over the classes that have rows; 0 where none has."""
    return _mean(average_precisions(truth, scores, weight), nothing=0.0)


def average_precision_micro(truth: Truth, scores: Scores, weight: Floats) -> float:
    """Return the average precision of all (row, class) pairs together; 0 without any label."""
    return float(np.nan_to_num(_pooled(_average_precision, truth, scores, weight)))


def average_precision_padded(truth: Truth, scores: Scores, weight: Floats | None = None) -> float:
    """Return the padded cmAP of BirdCLEF 2023: five rows of ones in truth and scores, then the macro mean.

    So a class without a row has a score, too, and a rare one weighs less on the mean.

    Args:
        weight: (rows, classes), 0 where it is unknown if the row has the class, else 1; None: all known.
    """
    ones = np.ones((PADDING, truth.shape[1]))
    padded = np.vstack([truth, ones > 0]), np.vstack([scores, ones])
    share = None if weight is None else np.vstack([weight, ones])
    return _mean(average_precisions(*padded, share), nothing=0.0)


def roc_auc_macro(truth: Truth, scores: Scores, weight: Floats) -> float:
    """Return the mean area under the ROC curve of the classes that have a positive and a negative row.

    BirdCLEF 2024 to 2026. NaN where no class has both.
    """
    return _mean(_by_class(_area, truth, scores, weight), nothing=np.nan)


def roc_auc_micro(truth: Truth, scores: Scores, weight: Floats) -> float:
    """Return the area under the ROC curve of all (row, class) pairs together; MLSP 2013."""
    return _pooled(_area, truth, scores, weight)


def roc_auc_single(truth: Truth, scores: Scores, weight: Floats) -> float:
    """Return the area under the ROC curve of the second of two classes; of more, that of all pairs.

    The probabilities of two classes add up to 1, so that the first has the same area.
    """
    if truth.shape[1] == 2:
        truth, scores = truth[:, 1:], scores[:, 1:]
    return roc_auc_micro(truth, scores, weight)


def log_loss(truth: Truth, scores: Scores, weight: Floats) -> float:
    """Return the mean over rows and classes of the negative log-likelihood of each class's True or False."""
    probs = np.clip(scores.astype(np.float64), SMALLEST, 1 - SMALLEST)
    each = -np.log(np.where(truth, probs, 1 - probs))
    if weight.ndim == 2:
        return float((weight * each).sum() / weight.sum())
    loss = each.mean(1)
    return float(weight @ loss / weight.sum())


def log_loss_single(truth: Truth, scores: Scores, weight: Floats) -> float:
    """Return the mean negative log-likelihood of each row's class, as Kaggle computes it.

    Rows are divided by their sums, and probabilities kept within 1e-15 and 1 - 1e-15.
    """
    total = scores.sum(1, dtype=np.float64)
    probs = (scores * truth).sum(1, dtype=np.float64) / np.where(total > 0, total, 1)
    loss = -np.log(np.clip(probs, SMALLEST, 1 - SMALLEST))
    return float(weight @ loss / weight.sum())


def _mean(values: Floats, nothing: float) -> float:
    """Return the mean of the values that are defined, or `nothing`."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else nothing
