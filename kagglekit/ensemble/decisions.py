"""Decisions: post-processing rules applied to a blend's probabilities before the argmax.

Those for clips that may have several classes are in `set_decisions`.

Their parts are fitted on OOF, which holds unseen words:

filler      an inverse temperature and one bias, for the filler class, by the least log-loss
bias        an inverse temperature and a bias for each class, by the least log-loss
threshold   how much likelier than filler another class must be, by the highest accuracy
thresholds  the same for each class apart
gate        besides the filler bias, OOD scores raise the filler class, with fitted slopes
prior       the test's class shares, estimated by EM from its predictions (Saerens et al. 2002)

The OOD scores: energy, mean log-sum-exp of the runs' logits (Liu et al. 2020, arXiv:2010.03759); max_logit
(Hendrycks et al. 2019, arXiv:1911.11132); distance to the nearest class mean under the classes' common
covariance, in the space of the blend's log-probabilities (Lee et al. 2018, arXiv:1807.03888); disagreement,
the mutual information of answer and model (Lakshminarayanan et al. 2017, arXiv:1612.01474). The energy of a
run with outputs for words is always 0, since it keeps the logarithms of summed probabilities.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np

from kagglekit.ensemble import set_decisions
from kagglekit.scoring.calibration import conditional_logit, prior_by_em
from kagglekit.scoring.numerics import (
    SAME,
    SMALLEST,
    Floats,
    log_probs,
    log_softmax,
    logsumexp,
    sigmoid,
    softmax,
)
from kagglekit.scoring.oof import Ints, Oof
from kagglekit.scoring.task import Task

OOD_SCORES = ("energy", "max_logit", "disagreement", "distance")
MEASURED = 3  # of them need nothing fitted: the columns of `Oof.ood`
GRID = np.arange(-30, 31) / 10  # nats of a threshold
BLUR = 0.3  # nats: thresholds are chosen by accuracy blurred so much, since single clips are noise
RIDGE = 0.1  # held-out words are few: less costs up to 1.8 points on speech-mini (docs/LOG.md)
COVARIANCE_RIDGE = 1e-2  # of the mean variance, for log-probabilities that add up to 1


class Parts(NamedTuple):
    """The parts of a decision."""

    bias: bool = False
    filler: bool = False
    scores: tuple[str, ...] = ()
    """OOD scores of the gate, which includes the filler bias."""
    thresholds: Literal["none", "one", "each"] = "none"
    prior: bool = False


BASELINE = "none"
"""The class with the largest probability."""

DECISIONS: dict[str, Parts] = {
    BASELINE: Parts(),
    "filler": Parts(filler=True),
    "bias": Parts(bias=True),
    "threshold": Parts(thresholds="one"),
    "thresholds": Parts(thresholds="each"),
    "prior": Parts(bias=True, prior=True),
    **{f"gate_{score}": Parts(filler=True, scores=(score,)) for score in OOD_SCORES},
    "gate": Parts(filler=True, scores=OOD_SCORES),
    "gate_bias": Parts(bias=True, scores=OOD_SCORES),
    "gate_threshold": Parts(filler=True, scores=OOD_SCORES, thresholds="one"),
    "gate_prior": Parts(filler=True, scores=OOD_SCORES, prior=True),
}


class Rule(Protocol):
    """A fitted decision."""

    def __call__(self, probs: Floats, ood: Floats, share: Floats) -> Floats:
        """Turn a blend's probabilities (clips, classes) into those that are answered by the common rule."""

    def facts(self, classes: tuple[str, ...]) -> dict[str, Any]:
        """Return what was fitted, for the record; it may be empty."""


def fit_for(task: Task, name: str, oof: Oof) -> Rule:
    """Fit one of the task's decisions on the predictions of one blend."""
    return set_decisions.fit(name, oof, task) if task.multi else fit(name, oof, task.filler_index)


def ood_scores(logits: Floats) -> Floats:
    """Compute energy, max_logit and disagreement (clips, MEASURED) of logits (models, clips, classes)."""
    probs = softmax(logits, dtype=None)
    mean = probs.mean(0)
    entropy = -(probs * log_probs(probs)).sum(2).mean(0)
    disagreement = -(mean * log_probs(mean)).sum(1) - entropy
    return np.stack([logsumexp(logits).mean(0), logits.max(2).mean(0), disagreement], axis=1)


def _log(probs: Floats) -> Floats:
    """Return log-probabilities that are exactly normalised, in float64."""
    return log_softmax(log_probs(probs)).clip(min=math.log(SMALLEST))


@dataclass(frozen=True)
class Distance:
    """The Mahalanobis distance to the nearest class mean."""

    whiten: Floats
    """(classes, classes)."""
    centres: Floats
    """(means, classes), whitened."""

    def __call__(self, log: Floats) -> Floats:
        """Measure log-probabilities: (clips, classes) -> (clips,)."""
        points, centres = log @ self.whiten, self.centres
        squares = np.square(points).sum(1)[:, None] - 2 * points @ centres.T + np.square(centres).sum(1)
        nearest: Floats = np.sqrt(squares.min(1).clip(min=0))
        return nearest


def _fit_distance(log: Floats, target: Ints, share: Floats) -> Distance:
    """Fit class means and their common covariance to log-probabilities (clips, classes)."""
    mass = np.eye(log.shape[1])[target] * share[:, None]
    present = mass.sum(0) > 0  # a class without clips has no mean
    means = (mass.T @ log / np.maximum(mass.sum(0), SMALLEST)[:, None])[present]
    residual = log - means[(np.cumsum(present) - 1)[target]]
    covariance = (residual * share[:, None]).T @ residual
    covariance += COVARIANCE_RIDGE * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    whiten = np.linalg.cholesky(np.linalg.inv(covariance))
    return Distance(whiten, means @ whiten)


@dataclass(frozen=True)
class Decision:
    """A fitted decision: turns a blend's probabilities into those whose argmax is the answer."""

    parts: Parts
    filler: int
    """Index of the filler class."""
    inverse_temperature: float
    bias: Floats
    """(classes,)."""
    slopes: Floats
    """(OOD scores of the gate,)."""
    centre: Floats
    scale: Floats
    """(OOD scores of the gate,), which standardise them."""
    distance: Distance | None
    thresholds: Floats
    """(classes,), nats."""
    prior: Floats
    """(classes,), weighted class shares in OOF."""

    def __call__(self, probs: Floats, ood: Floats, share: Floats) -> Floats:
        """Decide.

        Args:
            probs: (clips, classes) of a blend.
            ood: (clips, MEASURED), `ood_scores` of the same models' logits.
            share: (clips,), weights that sum to 1; only EM uses them.

        Returns:
            (clips, classes), rows adding up to 1.
        """
        if self.parts == Parts():
            return probs
        log = _log(probs)
        scores = self.inverse_temperature * log + self.bias
        if self.parts.scores:
            chosen = _chosen(self.parts, ood, self.distance, log)
            scores[:, self.filler] += (chosen - self.centre) / self.scale @ self.slopes
        if self.parts.prior:
            prior = prior_by_em(softmax(scores), self.prior, share)
            scores = scores + np.log(np.maximum(prior, SMALLEST) / np.maximum(self.prior, SMALLEST))
        if self.parts.thresholds != "none":
            scores[:, self.filler] += self.thresholds[_best_other(scores, self.filler)]
        return softmax(scores)

    def facts(self, classes: tuple[str, ...]) -> dict[str, Any]:
        """Return nothing: the name of the decision says what was fitted."""
        return {}


def _chosen(parts: Parts, ood: Floats, distance: Distance | None, log: Floats) -> Floats:
    """Return the gate's OOD scores, (clips, scores)."""
    columns = dict(zip(OOD_SCORES[:MEASURED], ood.T, strict=True))
    if distance is not None:
        columns["distance"] = distance(log)
    return np.stack([columns[name] for name in parts.scores], axis=1)


def _best_other(scores: Floats, filler: int) -> Ints:
    """Return the likeliest class that is not the filler, (clips,)."""
    others = scores.copy()
    others[:, filler] = -np.inf
    best: Ints = others.argmax(1)
    return best


def fit(name: str, oof: Oof, filler: int) -> Decision:
    """Fit one of DECISIONS on the predictions of one blend, with the OOD scores of its runs."""
    parts = DECISIONS[name]
    log, target, share = _log(oof.probs[0]), oof.target, oof.share
    classes, count = log.shape[1], len(parts.scores)
    distance = _fit_distance(log, target, share) if "distance" in parts.scores else None
    centre, scale = np.zeros(count), np.ones(count)
    chosen: Floats = log[:, :0]
    if count:
        chosen = _chosen(parts, oof.ood, distance, log)
        centre = share @ chosen
        spread = np.sqrt(share @ np.square(chosen - centre))
        scale = np.where(spread > SMALLEST, spread, 1.0)  # a constant score is left as it is
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
    prior: Floats = np.bincount(target, share, classes).astype(np.float64)
    thresholds: Floats = np.zeros(classes)
    if parts.thresholds != "none":
        thresholds = _thresholds(scores, target, share, filler, shared=parts.thresholds == "one")
    return Decision(
        parts, filler, float(slopes[0]), bias, slopes[1:], centre, scale, distance, thresholds, prior
    )


def _thresholds(scores: Floats, target: Ints, share: Floats, filler: int, *, shared: bool) -> Floats:
    """Choose how many nats above filler each class must be, (classes,), by the highest accuracy.

    A clip is between filler and its likeliest other class, so the classes are independent of each other.
    """
    best = _best_other(scores, filler)
    margin = np.take_along_axis(scores, best[:, None], 1)[:, 0] - scores[:, filler]
    right = np.zeros((scores.shape[1], len(GRID)))
    for number in range(len(right)):
        here = best == number
        keep = sigmoid((margin[here] - GRID[:, None]) / BLUR)  # (grid, clips)
        right[number] = keep @ (share[here] * (target[here] == number))
        right[number] += (1 - keep) @ (share[here] * (target[here] == filler))
    if shared:
        right[:] = right.sum(0)
    chosen: Floats = np.zeros(len(right))
    for number, curve in enumerate(right):
        level = np.flatnonzero(curve >= curve.max() - SAME)
        chosen[number] = GRID[level[np.abs(GRID[level]).argmin()]]  # of equals the smallest change
    return chosen
