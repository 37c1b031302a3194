"""Decisions where a row may have several classes and the metric judges sets: F1, class balanced accuracy.

A class is answered where its probability is at least 0.5. A decision moves the probabilities of a blend so
that this rule answers what was fitted on OOF:

threshold   a class is answered from one probability on, the same for all classes
thresholds  from a probability of its own, for each class with enough positives; the one of all for the rest
top_k       the k likeliest classes of each row are answered

All are fitted to the task's metric, by its highest value. Metrics of ranks and of probabilities fit nothing.

Thresholds of classes are found together: at the present answers, each pair of a row and a class has a gain,
by how much the metric rises if it is answered. For F1 that is Dinkelbach's method for ratios (1967,
https://doi.org/10.1287/mnsc.13.7.492). A class's threshold is where the gains of the rows above it add up to
most.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from kagglekit.scoring.metrics import Metric, Truth
from kagglekit.scoring.metrics.base import THRESHOLD
from kagglekit.scoring.numerics import SAME, Floats, levels, logit, sigmoid
from kagglekit.scoring.oof import Ints, Oof
from kagglekit.scoring.task import Task

SHARED = np.arange(-36, 17) / 4  # log-odds of the threshold of all classes: probabilities of 0.0001 to 0.98
EACH = np.arange(-100, 51) / 10  # those of a single class
BLUR = 3.0
"""Steps of EACH, 0.3 nats: gains are blurred so much along the threshold, since single rows are noise."""
LEAST = 10  # positives, and negatives, of a class that gets a threshold of its own
TRUST = 10.0
"""Positives at which a class's threshold is halfway between that of all and its own (docs/LOG.md)."""
ROUNDS = 10  # of thresholds from gains, at most; some 4 are common
LARGEST_K = 10
APART = 0.01  # nats that top_k keeps between classes answered and others


@dataclass(frozen=True)
class SetDecision:
    """A fitted decision: moves a blend's probabilities to 0.5 and above where a class is answered."""

    metric: str
    """The metric that it was fitted to, with its parameters; empty where nothing was fitted."""
    thresholds: Floats
    """(classes,), log-odds."""
    shared: float
    """The threshold of all classes without one of their own, in log-odds."""
    k: int | None = None
    """Number of classes answered in each row; None: those above their thresholds."""

    def __call__(self, probs: Floats, ood: Floats, share: Floats) -> Floats:
        """Decide.

        Args:
            probs: (rows, classes) of a blend.
            ood, share: unused; other decisions need them.
        """
        if self.k is None and not self.thresholds.any():
            return probs
        moved: Floats = logit(probs) - self.thresholds
        if self.k is not None:
            moved = _around_rank(moved, self.k)
        return sigmoid(moved)

    def facts(self, classes: tuple[str, ...]) -> dict[str, Any]:
        """Return a JSON-serialisable dict of what was fitted, thresholds as probabilities."""
        if not self.metric or self.k is not None:
            return {"metric": self.metric, "k": self.k} if self.metric else {}
        by_class = zip(classes, sigmoid(self.thresholds), self.thresholds != self.shared, strict=True)
        own = {name: round(float(at), 6) for name, at, apart in by_class if apart}
        shared = round(float(sigmoid(np.array(self.shared))), 6)
        return {"metric": self.metric, "threshold": shared, **({"thresholds": own} if own else {})}


def describe(rule: Mapping[str, Any]) -> str:
    """Return what `facts` says for people: "from probability 0.31"; "" where nothing was fitted."""
    if "k" in rule:
        return f"the {rule['k']} likeliest classes of each row, fitted for {rule['metric']}"
    if "threshold" not in rule:
        return ""
    shared, text = f"{rule['threshold']:.2g}", ""
    if own := rule.get("thresholds"):
        text = f"{min(own.values()):.2g} to {max(own.values()):.2g} in {len(own):,} classes, "
        shared += " in the others"
    return f"from probability {text}{shared}, fitted for {rule['metric']}"


def fit(name: str, oof: Oof, task: Task) -> SetDecision:
    """Fit one of SET_DECISIONS on the predictions of one blend."""
    metric, log = task.metric, logit(oof.probs[0])
    flat = np.zeros(log.shape[1])
    if name == "none":
        return SetDecision("", flat, 0.0)
    data = _Data(oof, metric, log)
    if name == "top_k":
        return SetDecision(metric.title, flat, 0.0, data.best_k())
    shared = data.best_shared()
    if name == "thresholds" and metric.name in GAINS:
        return SetDecision(metric.title, data.best_each(shared), shared)
    return SetDecision(metric.title, flat + shared, shared)


def _ranks(scores: Floats) -> Ints:
    """Return each class's rank in its row, (rows, classes): 0 for the likeliest, of equals for the first."""
    order = np.argsort(-scores, axis=1, kind="stable")
    ranks = np.empty(order.shape, np.int64)
    np.put_along_axis(ranks, order, np.arange(order.shape[1])[None], axis=1)
    return ranks


def _around_rank(log: Floats, k: int) -> Floats:
    """Move each row's log-odds so that the k likeliest classes are above 0 and the others below."""
    ranks, down = _ranks(log), -np.sort(-log, axis=1)
    last = down[:, k - 1]
    middle = last if k == log.shape[1] else (last + down[:, k]) / 2
    moved = log - middle[:, None]
    answered: Floats = np.where(ranks < k, np.maximum(moved, APART), np.minimum(moved, -APART))
    return answered


class _Data(NamedTuple):
    """What a decision is fitted on."""

    oof: Oof
    metric: Metric
    log: Floats
    """(rows, classes), log-odds of the blend."""

    def value(self, moved: Floats) -> float:
        """Return the metric, on a scale on which more is better, where answers are the log-odds above 0."""
        oof, metric = self.oof, self.metric
        weight = oof.weight if metric.weighted else None
        return metric.order(metric.compute(oof.target, moved + THRESHOLD, weight, oof.known))

    def best_k(self) -> int:
        """Return the number of classes that is best answered in each row, the least of equals."""
        most = min(self.log.shape[1], self.metric.most or LARGEST_K)
        ranks = _ranks(self.log)
        values = [self.value(k - 0.5 - ranks) for k in range(1, most + 1)]
        return int(levels(values).argmax()) + 1

    def best_shared(self) -> float:
        """Return the threshold of all classes in log-odds, of equals the one nearest to 0.5."""
        values = np.array([self.value(self.log - at) for at in SHARED])
        finite = np.isfinite(values)
        if not finite.any():
            return 0.0
        padded = np.pad(np.where(finite, values, values[finite].min()), 1, mode="edge")
        smooth = (padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4
        best = np.flatnonzero(smooth >= smooth.max() - SAME)
        return float(SHARED[best[np.abs(SHARED[best]).argmin()]])

    def best_each(self, shared: float) -> Floats:
        """Return the threshold of each class in log-odds, (classes,)."""
        truth, weight = self.pairs()
        positives, negatives = (truth & (weight > 0)).sum(0), (~truth & (weight > 0)).sum(0)
        enough = (positives >= LEAST) & (negatives >= LEAST)
        gains, bins = GAINS[self.metric.name], np.searchsorted(EACH, self.log, side="right")
        thresholds = np.full(len(enough), shared)
        best = self.value(self.log - thresholds)
        for _ in range(ROUNDS):
            gain = gains(truth, (self.log >= thresholds) & (weight > 0), weight)
            aim = np.where(enough, EACH[_best_bins(gain, bins, thresholds)], shared)
            steps = (thresholds + step * (aim - thresholds) for step in (1.0, 0.5, 0.25))
            better = next((one for one in steps if self.value(self.log - one) > best + SAME), None)
            if better is None:
                break
            thresholds, best = better, self.value(self.log - better)
        trust = positives / (positives + TRUST)
        return np.where(enough, shared + trust * (thresholds - shared), shared)

    def pairs(self) -> tuple[Truth, Floats]:
        """Return truth and weight of each pair (rows, classes): False and 0 where the truth is unknown."""
        oof = self.oof
        row = oof.weight if self.metric.weighted else np.ones(len(oof.weight))
        known = np.ones(oof.target.shape, bool) if oof.known is None else oof.known
        return oof.target & known, row[:, None] * known


def _best_bins(gain: Floats, bins: Ints, thresholds: Floats) -> Ints:
    """Return for each class the place in EACH above which its gains add up to most, nearest to the present.

    Args:
        gain: (rows, classes).
        bins: (rows, classes), number of thresholds in EACH that the row reaches.
        thresholds: (classes,), the present ones.
    """
    classes, size = gain.shape[1], len(EACH) + 1
    cell = bins * classes + np.arange(classes)
    sums = np.bincount(cell.ravel(), gain.ravel(), size * classes).reshape(size, classes)
    curve = sums[::-1].cumsum(0)[::-1][1:]  # of all rows that reach each threshold
    reach = np.arange(-round(3 * BLUR), round(3 * BLUR) + 1)
    kernel = np.exp(-np.square(reach / BLUR) / 2)
    padded = np.pad(curve, ((len(reach) // 2, len(reach) // 2), (0, 0)), mode="edge")
    blurred = sum(k * padded[i : i + len(EACH)] for i, k in enumerate(kernel)) / kernel.sum()
    distance = np.abs(EACH[:, None] - thresholds)
    equal = blurred >= blurred.max(0) - SAME * np.abs(gain).sum(0)
    nearest: Ints = np.where(equal, distance, np.inf).argmin(0)
    return nearest


Gains = Callable[[Truth, Truth, Floats], Floats]
"""From truth, answers and weights of pairs (rows, classes) to the gain of answering each.

The gains of a class have a scale of their own."""


def _f1(truth: Truth, answers: Truth, weight: Floats, axis: int | None) -> Floats:
    """Return the gains of F1 of each class, or of all pairs together."""
    right = (weight * (truth & answers)).sum(axis)
    total = (weight * truth).sum(axis) + (weight * answers).sum(axis)
    gain: Floats = weight * (2 * truth - 2 * right / np.maximum(total, SAME))
    return gain


def _f1_macro(truth: Truth, answers: Truth, weight: Floats) -> Floats:
    return _f1(truth, answers, weight, 0)


def _f1_micro(truth: Truth, answers: Truth, weight: Floats) -> Floats:
    return _f1(truth, answers, weight, None)


def _f1_rows(truth: Truth, answers: Truth, weight: Floats) -> Floats:
    """Return what a row's F1 rises by if the class is answered, the row's other answers being as they are."""
    right = (truth & answers).sum(1, keepdims=True) - (truth & answers)
    total = truth.sum(1, keepdims=True) + answers.sum(1, keepdims=True) - 1.0 * answers
    without = np.where(total > 0, 2 * right / np.maximum(total, 1), 1.0)
    gain: Floats = weight * (2 * (right + truth) / (total + 1) - without)
    return gain


def _class_balanced_accuracy(truth: Truth, answers: Truth, weight: Floats) -> Floats:
    """Return the share of a class's positives, or minus that of its negatives, that each pair is."""
    positive, negative = (weight * truth).sum(0), (weight * ~truth).sum(0)
    gain: Floats = weight * np.where(truth, 1 / np.maximum(positive, SAME), -1 / np.maximum(negative, SAME))
    return gain


GAINS: dict[str, Gains] = {
    "f1_macro": _f1_macro,
    "f1_micro": _f1_micro,
    "f1_rows": _f1_rows,
    "class_balanced_accuracy": _class_balanced_accuracy,
}
"""Metrics with thresholds of classes; other metrics of sets, such as those of packages, have that of all."""
