"""The unknown decision: what is done to a blend's probabilities before their argmax is the answer.

The parts, each fitted on OOF, which holds words that the models never heard:

filler      sharpness and one bias, for filler, by the least log-loss
bias        sharpness and a bias a class, likewise
threshold   how much likelier than filler another class must be, by the most clips right
thresholds  the same for each class apart
gate        beside the one bias, signs of words never heard speak for filler, with fitted slopes
prior       the test's shares of the classes, told by EM from its predictions (Saerens et al. 2002)

The signs: energy, the mean log-sum-exp of the runs' logits (Liu et al. 2020, arXiv:2010.03759); max_logit
(Hendrycks et al. 2019, arXiv:1911.11132); distance to the nearest class mean under the classes' common
covariance, in the space of the blend's log-probabilities (Lee et al. 2018, arXiv:1807.03888); disagreement,
the mutual information of answer and model (Lakshminarayanan et al. 2017, arXiv:1612.01474). A run with
outputs for words keeps the logarithms of summed probabilities, whose energy is 0: it tells by the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kagglekit.ensemble.blends import SMALLEST, Floats, log_of, softmax_of
from kagglekit.scoring.calibration import Answers, conditional_logit, log_probs, prior_by_em

Ints = NDArray[np.integer[Any]]

SIGNS = ("energy", "max_logit", "disagreement", "distance")
MEASURED = 3  # of them need nothing fitted
GRID = np.arange(-30, 31) / 10  # nats of a threshold
BLUR = 0.3  # nats: thresholds are chosen by accuracy blurred so much, since single clips are noise
RIDGE = 0.1  # held words are few: less costs up to 1.8 points on speech-mini (docs/LOG.md)
COVARIANCE_RIDGE = 1e-2  # of the mean variance, for log-probabilities that add up to 1


class Parts(NamedTuple):
    """Which parts a decision has."""

    bias: bool = False
    filler: bool = False
    signs: tuple[str, ...] = ()
    """Of the gate, which brings filler's bias along."""
    thresholds: Literal["none", "one", "each"] = "none"
    prior: bool = False


PLAIN = "none"
"""The largest probability decides."""

DECISIONS: dict[str, Parts] = {
    PLAIN: Parts(),
    "filler": Parts(filler=True),
    "bias": Parts(bias=True),
    "threshold": Parts(thresholds="one"),
    "thresholds": Parts(thresholds="each"),
    "prior": Parts(bias=True, prior=True),
    **{f"gate_{sign}": Parts(filler=True, signs=(sign,)) for sign in SIGNS},
    "gate": Parts(filler=True, signs=SIGNS),
    "gate_bias": Parts(bias=True, signs=SIGNS),
    "gate_threshold": Parts(filler=True, signs=SIGNS, thresholds="one"),
    "gate_prior": Parts(filler=True, signs=SIGNS, prior=True),
}


def measure_signs(logits: Floats) -> Floats:
    """The signs that need nothing fitted, of runs' logits (models, clips, classes): (clips, MEASURED)."""
    peak = logits.max(2)
    odds = np.exp(logits - peak[:, :, None])
    total = odds.sum(2)
    probs = odds / total[:, :, None]
    together = probs.mean(0)
    entropy = -(probs * log_of(probs)).sum(2).mean(0)
    disagreement = -(together * log_of(together)).sum(1) - entropy
    return np.stack([(peak + np.log(total)).mean(0), peak.mean(0), disagreement], axis=1)


@dataclass(frozen=True)
class _Distance:
    """Distance to the nearest class mean."""

    means: Floats  # (classes, dimensions), whitened
    whiten: Floats  # (dimensions, dimensions)

    def __call__(self, log: Floats) -> Floats:
        """(clips, classes) -> (clips,)."""
        points = log @ self.whiten
        squares = np.square(points).sum(1)[:, None] - 2 * points @ self.means.T + np.square(self.means).sum(1)
        distance: Floats = np.sqrt(squares.min(1).clip(min=0))
        return distance


def _distance(oof: Answers) -> _Distance:
    share = oof.weight / oof.weight.sum()
    each = np.eye(oof.log.shape[1])[oof.target] * share[:, None]
    means = each.T @ oof.log / np.maximum(each.sum(0), SMALLEST)[:, None]
    means = means[each.sum(0) > 0]  # a class without clips has no mean
    place = np.cumsum(each.sum(0) > 0) - 1
    around = oof.log - means[place[oof.target]]
    covariance = (around * share[:, None]).T @ around
    covariance += COVARIANCE_RIDGE * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    whiten = np.linalg.cholesky(np.linalg.inv(covariance))
    return _Distance(means @ whiten, whiten)


@dataclass(frozen=True)
class Decision:
    """Fitted parts; called with a blend's probabilities, it gives those to decide by."""

    parts: Parts
    filler: int
    """Index of the filler class."""
    sharpness: float
    bias: Floats
    """(classes,)."""
    slopes: Floats
    """(signs of the gate,)."""
    centre: Floats
    scale: Floats
    """(signs of the gate,), by which they are standardised."""
    distance: _Distance | None
    thresholds: Floats
    """(classes,), nats."""
    known: Floats
    """(classes,), shares of the classes in OOF, as weighted."""

    def __call__(self, probs: Floats, signs: Floats, share: Floats) -> Floats:
        """Decide.

        Args:
            probs: (clips, classes), a blend's.
            signs: (clips, MEASURED), of the same models' logits.
            share: (clips,), summing to 1: what a clip counts; only EM looks at it.

        Returns:
            (clips, classes), rows adding up to 1.
        """
        if self.parts == Parts():
            return probs
        log = log_probs(log_of(probs))
        scores = self.sharpness * log + self.bias
        if self.parts.signs:
            chosen = _chosen(self.parts, signs, self.distance, log)
            scores[:, self.filler] += (chosen - self.centre) / self.scale @ self.slopes
        if self.parts.prior:
            prior = prior_by_em(softmax_of(scores), self.known, share)
            scores = scores + np.log(np.maximum(prior, SMALLEST) / np.maximum(self.known, SMALLEST))
        if self.parts.thresholds != "none":
            scores[:, self.filler] += self.thresholds[_best_other(scores, self.filler)]
        return softmax_of(scores)


def _chosen(parts: Parts, signs: Floats, distance: _Distance | None, log: Floats) -> Floats:
    """(clips, signs of the gate)."""
    columns = dict(zip(SIGNS[:MEASURED], signs.T, strict=True))
    if distance is not None:
        columns["distance"] = distance(log)
    return np.stack([columns[sign] for sign in parts.signs], axis=1)


def _best_other(scores: Floats, filler: int) -> Ints:
    """(clips,): the likeliest class that is not filler."""
    others = scores.copy()
    others[:, filler] = -np.inf
    best: Ints = others.argmax(1)
    return best


def fit(name: str, oof: Answers, signs: Floats, filler: int) -> Decision:
    """Fit a decision's parts.

    Args:
        name: of the decision.
        oof: a blend's OOF log-probabilities, and what was right.
        signs: (clips, MEASURED), of the same clips.
        filler: index of the filler class.
    """
    parts = DECISIONS[name]
    log, target = log_probs(oof.log), oof.target
    share = oof.weight / oof.weight.sum()
    classes, count = log.shape[1], len(parts.signs)
    distance = _distance(Answers(log, target, oof.weight)) if "distance" in parts.signs else None
    centre, scale = np.zeros(count), np.ones(count)
    chosen: Floats = log[:, :0]
    if count:
        chosen = _chosen(parts, signs, distance, log)
        centre = share @ chosen
        spread = np.sqrt(share @ np.square(chosen - centre))
        scale = np.where(spread > SMALLEST, spread, 1.0)  # a sign that is always alike says nothing
        chosen = (chosen - centre) / scale
    slopes, bias = np.r_[1.0, np.zeros(count)], np.zeros(classes)
    if parts.bias or parts.filler:
        planes = np.zeros((2 + count, *log.shape))
        planes[0] = log
        planes[1:-1, :, filler] = chosen.T
        planes[-1, :, filler] = 1
        start = np.r_[slopes, 0.0]
        slopes, bias = conditional_logit(planes, target, share, start, with_bias=parts.bias, ridge=RIDGE)
        bias[filler] += slopes[-1]
        slopes = slopes[:-1]
    scores = slopes[0] * log + bias
    scores[:, filler] += chosen @ slopes[1:]
    known: Floats = np.bincount(target, share, classes).astype(np.float64)
    thresholds: Floats = np.zeros(classes)
    if parts.thresholds != "none":
        thresholds = _thresholds(scores, target, share, filler, shared=parts.thresholds == "one")
    return Decision(
        parts, filler, float(slopes[0]), bias, slopes[1:], centre, scale, distance, thresholds, known
    )


def _thresholds(scores: Floats, target: Ints, share: Floats, filler: int, *, shared: bool) -> Floats:
    """For each class: how many nats above filler it must stand, by the most clips right.

    A clip is between filler and its likeliest other class, so the classes are independent of each other.
    """
    best = _best_other(scores, filler)
    margin = np.take_along_axis(scores, best[:, None], 1)[:, 0] - scores[:, filler]
    right = np.zeros((scores.shape[1], len(GRID)))
    for number in range(len(right)):
        of = best == number
        keep = 1 / (1 + np.exp((GRID[:, None] - margin[of]) / BLUR))  # (grid, clips)
        right[number] = keep @ (share[of] * (target[of] == number))
        right[number] += (1 - keep) @ (share[of] * (target[of] == filler))
    if shared:
        right[:] = right.sum(0)
    chosen: Floats = np.zeros(len(right))
    for number, curve in enumerate(right):
        level = np.flatnonzero(curve >= curve.max() - 1e-12)
        chosen[number] = GRID[level[np.abs(GRID[level]).argmin()]]  # of equals the one that changes least
    return chosen
