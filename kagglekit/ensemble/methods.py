"""The ways to blend runs: each is fitted on OOF predictions and gives a `Blend`.

Adding one is a function and a line in METHODS; the lab judges it beside the others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kagglekit.config import Ensemble
from kagglekit.ensemble.blends import SMALLEST, Blend, Floats, Geometric, Logit, Mean, Rank, log_of
from kagglekit.ensemble.hillclimb import hill_climb
from kagglekit.ensemble.selection import greedy, select
from kagglekit.scoring.calibration import conditional_logit

Ints = NDArray[np.integer[Any]]

ENOUGH = 8192  # clips that fit a few dozen parameters, or one a model, to a few per cent
COPY = 0.98  # correlation of two models' errors above which one is a near-copy of the other
GAP = 1e-4  # nats of log-loss that a mixture may be above the least
EM_STEPS = 2000
NEWTON_STEPS = 12  # on a single exponent; 5 are common


class Oof(NamedTuple):
    """Out-of-fold predictions of several runs, and what was right."""

    probs: Floats
    """(models, clips, classes), float32."""
    target: Ints
    """(clips,), index of the true class."""
    weight: Floats
    """(clips,), >= 0: what a clip counts."""
    fold: Ints
    """(clips,), which fold's models predicted it."""

    def of(self, chosen: NDArray[np.bool_] | Ints) -> Oof:
        """Some of the clips."""
        return Oof(self.probs[:, chosen], self.target[chosen], self.weight[chosen], self.fold[chosen])

    def some(self, count: int) -> Oof:
        """`count` clips drawn once and for all, or all where there are not more."""
        if len(self.target) <= count:
            return self
        return self.of(np.sort(np.random.default_rng(0).choice(len(self.target), count, replace=False)))


def _even(oof: Oof) -> Floats:
    return np.full(len(oof.probs), 1 / len(oof.probs))


def temperatures(oof: Oof) -> Floats:
    """Sharpness (1 / temperature) of each model by its own least log-loss (arXiv:1706.04599).

    Newton steps on all exponents at once; the loss is convex in each.

    Returns:
        (models,).
    """
    oof = oof.some(ENOUGH)
    log, share, rows = log_of(oof.probs), oof.weight / oof.weight.sum(), np.arange(len(oof.target))
    of_true = log[:, rows, oof.target]
    sharpness = np.ones(len(log))
    for _ in range(NEWTON_STEPS):
        z = log * sharpness.astype(log.dtype)[:, None, None]
        odds = np.exp(z - z.max(2, keepdims=True))
        odds /= odds.sum(2, keepdims=True)
        mean = (odds * log).sum(2)
        slope = (mean - of_true) @ share
        curvature = ((odds * np.square(log)).sum(2) - np.square(mean)) @ share
        step = np.clip(slope / np.maximum(curvature, SMALLEST), -0.5 * sharpness, sharpness)
        sharpness = sharpness - step
        if np.abs(step).max() < 1e-4:
            break
    return sharpness


def mixture(oof: Oof) -> Floats:
    """Weights on the simplex with the least log-loss of the blend.

    Only the true class's column matters. The multiplicative steps of expectation maximisation for mixture
    weights (Cover 1984, https://doi.org/10.1109/TIT.1984.1056869) never leave the simplex, and the largest
    gradient tells how far from the least loss they are at most.

    Returns:
        (models,), >= 0, summing to 1.
    """
    rows = np.arange(len(oof.target))
    hits = np.maximum(oof.probs[:, rows, oof.target].astype(np.float64), SMALLEST)
    share, weights = oof.weight / oof.weight.sum(), _even(oof)
    for _ in range(EM_STEPS):
        gradient = hits @ (share / (weights @ hits))
        if gradient.max() < 1 + GAP:
            break
        weights = weights * gradient
    mixed: Floats = weights / weights.sum()
    return mixed


def distinct(oof: Oof) -> NDArray[np.bool_]:
    """Which models to keep so that none is a near-copy of a better one: greedily, the most accurate first.

    Returns:
        (models,).
    """
    oof = oof.some(ENOUGH)
    accuracy = (oof.probs.argmax(2) == oof.target) @ oof.weight
    errors = oof.probs.copy()
    errors[:, np.arange(len(oof.target)), oof.target] -= 1
    flat = (errors * np.sqrt(oof.weight / oof.weight.sum())[:, None]).astype(np.float32)
    flat = flat.reshape(len(flat), -1)
    flat /= np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), SMALLEST)
    alike, kept = flat @ flat.T, np.zeros(len(flat), bool)
    for model in np.argsort(-accuracy, kind="stable"):
        kept[model] = not (alike[model, kept] > COPY).any()
    return kept


def _pruned(oof: Oof, settings: Ensemble) -> Blend:
    kept = distinct(oof)
    return Mean(kept / kept.sum())


def _caruana(oof: Oof, settings: Ensemble) -> Blend:
    options = {"rounds": settings.rounds, "bags": settings.bags, "seed": settings.seed}
    return Mean(select(oof.probs, oof.target, oof.weight, **options))


def _stacked(oof: Oof, settings: Ensemble) -> Blend:
    """Starts from, and is drawn to, the geometric mean: one slope a model, one bias a class."""
    some = oof.some(ENOUGH)
    share = some.weight / some.weight.sum()
    return Logit(*conditional_logit(log_of(some.probs), some.target, share, start=_even(oof)))


class Method(NamedTuple):
    """A way to blend."""

    fit: Callable[[Oof, Ensemble], Blend]
    about: str


PLAIN = "mean"
"""What every other method must beat beyond noise."""

METHODS: dict[str, Method] = {
    PLAIN: Method(lambda oof, _: Mean(_even(oof)), "arithmetic mean, nothing fitted"),
    "geometric": Method(lambda oof, _: Geometric(_even(oof)), "geometric mean, nothing fitted"),
    "rank": Method(lambda oof, _: Rank(_even(oof)), "mean rank of a class within the clip, nothing fitted"),
    "temperature": Method(
        lambda oof, _: Mean(_even(oof), temperatures(oof)), "mean of runs made as sure as they are right"
    ),
    "pruned": Method(_pruned, "mean without near-copies"),
    "caruana": Method(_caruana, "selection with replacement, sorted start, bags"),
    "greedy": Method(
        lambda oof, s: Mean(greedy(oof.probs, oof.target, oof.weight, rounds=s.rounds)),
        "selection with replacement, neither start nor bags",
    ),
    "hillclimb": Method(
        lambda oof, _: Mean(hill_climb(oof.probs, oof.target, oof.weight, negative=False)),
        "hill climbing in steps of 0.01",
    ),
    "hillclimb_negative": Method(
        lambda oof, _: Mean(hill_climb(oof.probs, oof.target, oof.weight, negative=True)),
        "hill climbing, weights may be negative",
    ),
    "logloss": Method(lambda oof, _: Mean(mixture(oof)), "weights on the simplex with the least log-loss"),
    "stacking": Method(_stacked, "multinomial logistic regression on log-probabilities"),
}
