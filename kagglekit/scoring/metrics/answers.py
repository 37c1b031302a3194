"""Metrics of answers: of a class, of the k likeliest classes, or of a set of classes a row.

Each takes truth (rows, classes) bool, the answers and the weights of the rows (rows,). A class answered is
its index, -1 for none; a set is (rows, classes) bool. Those that sum over pairs of a row and a class take the
weights of pairs (rows, classes), too: 0 where it is unknown if the row has the class.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Truth = NDArray[np.bool_]
Ints = NDArray[np.integer[Any]]
Sets = NDArray[np.bool_]
Floats = NDArray[np.float64]


def accuracy(truth: Truth, answers: Ints, weight: Floats) -> float:
    """Return the share of rows whose answer is true."""
    return float(weight @ _hits(truth, answers) / weight.sum())


def _hits(truth: Truth, answers: Ints) -> NDArray[np.bool_]:
    """Return whether each row's answer is true, (rows,)."""
    return truth[np.arange(len(truth)), answers] & (answers >= 0)


def confusion(truth: Truth, answers: Ints, weight: Floats) -> Floats:
    """Sum the weights by true and answered class, (classes + 1, classes + 1); last is none of them."""
    none = truth.shape[1]
    true = np.where(truth.any(1), truth.argmax(1), none)
    cell = true * (none + 1) + np.where(answers < 0, none, answers)
    sums: Floats = np.bincount(cell, weight, (none + 1) ** 2).astype(np.float64)
    return sums.reshape(none + 1, none + 1)


def balanced_accuracy(truth: Truth, answers: Ints, weight: Floats) -> float:
    """Return the mean recall of the classes that have rows, as scikit-learn's balanced_accuracy_score."""
    cells = confusion(truth, answers, weight)[:-1]
    rows = cells.sum(1)
    return float((cells.diagonal()[rows > 0] / rows[rows > 0]).mean()) if rows.any() else np.nan


def kappa(truth: Truth, answers: Ints, weight: Floats, *, weights: str = "none") -> float:
    """Return Cohen's kappa: agreement beyond that of chance.

    Cohen 1968 (https://doi.org/10.1037/h0026256). A disagreement weighs 1 (none), the distance of the two
    classes in their order (linear), or its square (quadratic). NaN where chance cannot disagree.
    """
    cells = confusion(truth, answers, weight)
    distance = np.abs(np.subtract.outer(np.arange(len(cells)), np.arange(len(cells))))
    cost = {"none": distance > 0, "linear": distance, "quadratic": distance**2}[weights]
    chance = np.outer(cells.sum(1), cells.sum(0)) / cells.sum()
    expected = (cost * chance).sum()
    return float(1 - (cost * cells).sum() / expected) if expected else np.nan


def mcc(truth: Truth, answers: Ints, weight: Floats) -> float:
    """Return Matthews' correlation coefficient of any number of classes; 0 where it is undefined.

    Gorodkin 2004 (https://doi.org/10.1016/j.compbiolchem.2004.09.006), as scikit-learn's matthews_corrcoef.
    """
    cells = confusion(truth, answers, weight)
    cells = cells / cells.sum()
    true, answered = cells.sum(1), cells.sum(0)
    spread = (1 - true @ true) * (1 - answered @ answered)
    return float((cells.trace() - true @ answered) / np.sqrt(spread)) if spread > 1e-15 else 0.0


def map_at_k(truth: Truth, answers: Ints, weight: Floats) -> float:
    """Return the mean average precision of the k classes listed for each row, (rows, k), the likeliest first.

    Of a row: the precision at the place of each true class listed, added up and divided by the number of its
    true classes or k, whichever is less; 0 for a row without any. With one class a row that is 1 / place, as
    in Freesound 2018. (ml_metrics.mapk, https://github.com/benhamner/Metrics.) A class counts once.
    """
    hits = np.stack([_hits(truth, place) for place in answers.T], axis=1)
    for place in range(1, hits.shape[1]):
        hits[:, place] &= (answers[:, :place] != answers[:, place, None]).all(1)
    precision = np.cumsum(hits, axis=1) / np.arange(1, hits.shape[1] + 1)
    most = np.clip(truth.sum(1), 1, hits.shape[1])
    return float(weight @ ((precision * hits).sum(1) / most) / weight.sum())


def _counts(truth: Truth, answers: Sets, weight: Floats) -> tuple[Floats, Floats]:
    """Return the weights of the true positives, and of all errors, by class, (classes,) each."""
    return _by_class(weight, truth & answers), _by_class(weight, truth ^ answers)


def _by_class(weight: Floats, pairs: Sets) -> Floats:
    """Sum weights (rows,) or (rows, classes) of the pairs that are True (rows, classes), by class."""
    sums: Floats = weight @ pairs if weight.ndim == 1 else (weight * pairs).sum(0)
    return sums


def _f1(right: Floats, wrong: Floats, empty: float) -> Floats:
    """Return F1 = 2 TP / (2 TP + FP + FN), and `empty` where nothing is true or answered."""
    total = 2 * right + wrong
    return np.where(total > 0, 2 * right / np.where(total > 0, total, 1), empty)


def f1_macro(truth: Truth, answers: Sets, weight: Floats) -> float:
    """Return the mean F1 of all classes; of one that is neither true nor answered it is 0.

    scikit-learn's f1_score of several labels a row, average="macro". Classes that are unknown of all rows are
    left out.
    """
    each = _f1(*_counts(truth, answers, weight), empty=0.0)
    return float(each.mean() if weight.ndim == 1 else each[weight.any(0)].mean())


def f1_macro_single(truth: Truth, answers: Sets, weight: Floats) -> float:
    """Return the mean F1 of the classes that are true or answered anywhere.

    scikit-learn's f1_score of one label a row, average="macro".
    """
    return float(np.nanmean(_f1(*_counts(truth, answers, weight), empty=np.nan)))


def f1_micro(truth: Truth, answers: Sets, weight: Floats) -> float:
    """Return the F1 of all (row, class) pairs together; 0 where nothing is true or answered."""
    right, wrong = _counts(truth, answers, weight)
    return float(_f1(right.sum(), wrong.sum(), empty=0.0))


def f1_rows(truth: Truth, answers: Sets, weight: Floats) -> float:
    """Return the mean over rows of the F1 of each row's set of classes; 1 where both sets are empty.

    The row-wise micro averaged F1 of Cornell 2020 and BirdCLEF 2021. There an empty set is a label of its
    own, `nocall`, which is right against `nocall` only: the same.
    """
    each = _f1((truth & answers).sum(1), (truth ^ answers).sum(1), empty=1.0)
    return float(weight @ each / weight.sum())


def class_balanced_accuracy(truth: Truth, answers: Sets, weight: Floats) -> float:
    """Return the mean over classes of the balanced accuracy of each class's True and False answers.

    BirdCLEF 2022: all species weigh alike, and within each its positives as much as its negatives. Classes
    without a positive are left out, as its participants' code does; of one without a negative the positives
    alone count. NaN where no class has a positive.
    """
    positive, negative = _by_class(weight, truth), _by_class(weight, ~truth)
    scored = positive > 0
    recall = _by_class(weight, truth & answers)[scored] / positive[scored]
    negative = negative[scored]
    specificity = _by_class(weight, ~(truth | answers))[scored] / np.where(negative > 0, negative, 1)
    each = np.where(negative > 0, (recall + specificity) / 2, recall)
    return float(each.mean()) if len(each) else np.nan
