"""Methods to blend runs: each fits a `Blend` on OOF predictions.

A new method is a function and a line in METHODS; nested cross-validation then compares it with the others.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from kagglekit.config import Ensemble
from kagglekit.config.names import Takes
from kagglekit.ensemble.blends import Blend, Geometric, Logit, Mean, MeanLogit, Quantile, Rank
from kagglekit.ensemble.hillclimb import hill_climb
from kagglekit.ensemble.selection import greedy, greedy_by_metric, select
from kagglekit.scoring.calibration import conditional_logit
from kagglekit.scoring.numerics import SMALLEST, Floats, levels, log_probs, softmax
from kagglekit.scoring.oof import Oof
from kagglekit.scoring.task import Task

SAMPLE = 8192  # clips that fit a few dozen parameters, or one per model, to a few per cent
COPY = 0.98  # correlation of two models' errors above which one is a near-copy of the other
GAP = 1e-4  # nats of log-loss that a mixture may be above the minimum
EM_STEPS = 2000
NEWTON_STEPS = 12  # for a single exponent; 5 are common

Method = Callable[[Oof, Ensemble], Blend]


def _equal(oof: Oof) -> Floats:
    """Return equal weights, (models,)."""
    return np.full(len(oof.probs), 1 / len(oof.probs))


def inverse_temperatures(oof: Oof) -> Floats:
    """Fit 1 / temperature of each model by the least log-loss (arXiv:1706.04599), (models,).

    Newton steps on all of them at once; the loss is convex in each.
    """
    oof = oof.sample(SAMPLE)
    log, share, rows = log_probs(oof.probs), oof.weight / oof.weight.sum(), np.arange(len(oof.target))
    true = log[:, rows, oof.target]
    inverse = np.ones(len(log))
    for _ in range(NEWTON_STEPS):
        odds = softmax(log * inverse.astype(log.dtype)[:, None, None], dtype=None)
        mean = (odds * log).sum(2)
        slope = (mean - true) @ share
        curvature = ((odds * np.square(log)).sum(2) - np.square(mean)) @ share
        step = np.clip(slope / np.maximum(curvature, SMALLEST), -0.5 * inverse, inverse)
        inverse = inverse - step
        if np.abs(step).max() < 1e-4:
            break
    return inverse


def mixture(oof: Oof) -> Floats:
    """Fit weights on the simplex with the least log-loss of the blend, (models,).

    Only the true class's column matters. The multiplicative steps of expectation maximisation for mixture
    weights (Cover 1984, https://doi.org/10.1109/TIT.1984.1056869) never leave the simplex, and the largest
    gradient bounds the distance to the minimum.
    """
    rows = np.arange(len(oof.target))
    hits = np.maximum(oof.probs[:, rows, oof.target].astype(np.float64), SMALLEST)
    share, weights = oof.share, _equal(oof)
    for _ in range(EM_STEPS):
        gradient = hits @ (share / (weights @ hits))
        if gradient.max() < 1 + GAP:
            break
        weights = weights * gradient
    weights /= weights.sum()
    return weights


def distinct(oof: Oof) -> NDArray[np.bool_]:
    """Mark the models to keep, (models,), so that none is a near-copy of a more accurate one."""
    oof = oof.sample(SAMPLE)
    accuracy = (oof.probs.argmax(2) == oof.target) @ oof.weight
    errors = oof.probs.copy()
    errors[:, np.arange(len(oof.target)), oof.target] -= 1
    flat = (errors * np.sqrt(oof.share)[:, None]).astype(np.float32)
    flat = flat.reshape(len(flat), -1)
    flat /= np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), SMALLEST)
    correlation, kept = flat @ flat.T, np.zeros(len(flat), bool)
    for model in np.argsort(-levels(accuracy / oof.weight.sum()), kind="stable"):
        kept[model] = not (correlation[model, kept] > COPY).any()
    return kept


def _pruned(oof: Oof, settings: Ensemble) -> Blend:
    """Average the models without near-copies."""
    kept = distinct(oof)
    return Mean(kept / kept.sum())


def _caruana(oof: Oof, settings: Ensemble) -> Blend:
    """Select with replacement, from a sorted start, in bags."""
    options = {"rounds": settings.rounds, "bags": settings.bags, "seed": settings.seed}
    return Mean(select(oof.probs, oof.target, oof.weight, **options))


def _stacked(oof: Oof, settings: Ensemble) -> Blend:
    """Fit one slope per model and one bias per class, starting from and drawn to the geometric mean."""
    some = oof.sample(SAMPLE)
    return Logit(*conditional_logit(log_probs(some.probs), some.target, some.share, start=_equal(oof)))


BASELINE = "mean"
"""The method that every other one must beat beyond noise."""

METHODS: dict[str, Method] = {
    # nothing fitted
    BASELINE: lambda oof, _: Mean(_equal(oof)),
    "geometric": lambda oof, _: Geometric(_equal(oof)),
    "rank": lambda oof, _: Rank(_equal(oof)),
    # fitted
    "temperature": lambda oof, _: Mean(_equal(oof), inverse_temperatures(oof)),
    "pruned": _pruned,
    "caruana": _caruana,
    "greedy": lambda oof, s: Mean(greedy(oof.probs, oof.target, oof.weight, rounds=s.rounds)),
    "hillclimb": lambda oof, _: Mean(hill_climb(oof.probs, oof.target, oof.weight, negative=False)),
    "hillclimb_negative": lambda oof, _: Mean(hill_climb(oof.probs, oof.target, oof.weight, negative=True)),
    "logloss": lambda oof, _: Mean(mixture(oof)),
    "stacking": _stacked,
}
"""Methods for one class per clip."""


def _greedy_by_metric(task: Task) -> Method:
    """Return the greedy selection by the task's metric."""

    def fit(oof: Oof, settings: Ensemble) -> Blend:
        weight = oof.weight if task.metric.weighted else None
        truth = task.one_hot(oof.target)
        return Mean(
            greedy_by_metric(oof.probs, truth, task.metric, weight, known=oof.known, rounds=settings.rounds)
        )

    return fit


def methods_for(task: Task) -> Mapping[str, Method]:
    """Return the methods that fit a task; those for several classes per clip need no single true class."""
    if task.metric.name == "accuracy":
        return METHODS
    if not task.multi:
        return METHODS | {"greedy": _greedy_by_metric(task)}
    ranks = {"rank": lambda oof, _: Quantile.fit(_equal(oof), oof.probs)}
    return {
        BASELINE: METHODS[BASELINE],
        "geometric": lambda oof, _: MeanLogit(_equal(oof)),
        **(ranks if task.metric.takes == Takes.RANKS else {}),
        "greedy": _greedy_by_metric(task),
    }
