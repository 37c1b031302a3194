"""Predictions made as sure as they are right: probabilities calibrated on OOF."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

RIDGE = 1e-3  # a class without clips would otherwise be pushed to -inf
STEPS = 500  # of Newton, at most; some 8 are common
EM_STEPS = 500  # at most; some 30 are common

Floats = NDArray[np.float64]


class Answers(NamedTuple):
    """OOF predictions and what was right."""

    log: NDArray[Any]
    """(clips, classes), log-probabilities."""
    target: NDArray[Any]
    """(clips,), index of the true class."""
    weight: NDArray[Any]
    """(clips,), what a clip counts, on any scale."""


def log_probs(logits: NDArray[Any]) -> Floats:
    """Logits -> log-probabilities, none below log 1e-7."""
    log: Floats = logits.astype(np.float64) - logits.max(1, keepdims=True)
    log -= np.log(np.exp(log).sum(1, keepdims=True))
    return log.clip(min=math.log(1e-7))


class Calibration(NamedTuple):
    """p -> softmax(sharpness * (log p + bias)): bias-corrected temperature scaling (arXiv:1901.06852)."""

    sharpness: float
    bias: Floats

    def __call__(self, log: NDArray[Any]) -> Floats:
        """Log-probabilities (clips, classes) -> calibrated probabilities."""
        z = self.sharpness * (log + self.bias)
        odds: Floats = np.exp(z - z.max(1, keepdims=True))
        odds /= odds.sum(1, keepdims=True)
        return odds


def calibrate(oof: Answers) -> Calibration:
    """The calibration with the least weighted log-loss."""
    share = oof.weight / max(oof.weight.sum(), 1e-12)
    slopes, bias = conditional_logit(oof.log[None], oof.target, share, start=np.ones(1))
    sharpness = max(float(slopes[0]), 0.05)  # less would say that the model knows nothing
    return Calibration(sharpness, bias / sharpness)


def prior_by_em(probs: NDArray[Any], known: NDArray[Any], share: NDArray[Any]) -> Floats:
    """Share of each class among clips whose probabilities were made for another prior.

    EM of Saerens et al. 2002 (https://doi.org/10.1162/089976602753284446), for calibrated probabilities
    (Alexandari et al. 2020, arXiv:1901.06852).

    Args:
        probs: (clips, classes), calibrated where the classes have the shares `known` (classes,).
        share: (clips,), summing to 1: what a clip counts.
    """
    prior: Floats = known
    for _ in range(EM_STEPS):
        ratio = np.divide(prior, known, out=np.zeros_like(known), where=known > 0)
        before, prior = prior, ratio * (probs.T @ (share / np.maximum(probs @ ratio, 1e-12)))
        if np.abs(prior - before).max() < 1e-6:
            break
    prior = prior / prior.sum()
    return prior


def conditional_logit(
    planes: NDArray[Any],
    target: NDArray[Any],
    share: NDArray[Any],
    start: NDArray[Any],
    *,
    with_bias: bool = True,
    ridge: float = RIDGE,
) -> tuple[Floats, Floats]:
    """Fit softmax(sum of slope * plane, plus a bias a class) by the least weighted log-loss.

    McFadden's conditional logit (1974) with a ridge towards `start` and no bias. The loss is convex, so
    Newton steps find its minimum.

    Args:
        planes: (planes, clips, classes), what speaks for each class.
        target: (clips,), index of the true class.
        share: (clips,), summing to 1: what a clip counts.
        start: (planes,), the slopes to begin with.
        with_bias: whether there are biases at all; else they are 0.
        ridge: how strongly slopes and biases are held, in nats for a distance of 1 squared.

    Returns:
        Slopes (planes,) and biases (classes,).
    """
    count, rows = len(planes), np.arange(len(target))
    start = np.r_[start, np.zeros(planes.shape[2])]
    fitted = len(start) if with_bias else count

    def scores(theta: Floats) -> Floats:
        z: Floats = np.tensordot(theta[:count].astype(planes.dtype), planes, axes=1) + theta[count:]
        z -= z.max(1, keepdims=True)
        return z

    def loss(theta: Floats) -> float:
        z = scores(theta)
        surprise = np.log(np.exp(z).sum(1)) - z[rows, target]
        return float(share @ surprise + ridge / 2 * np.square(theta - start).sum())

    theta, best = start, loss(start)
    for _ in range(STEPS):
        odds = np.exp(scores(theta))
        odds /= odds.sum(1, keepdims=True)
        gradient, hessian = _slopes(odds, planes, target, share)
        gradient += ridge * (theta - start)
        step = np.zeros(len(theta))
        step[:fitted] = np.linalg.solve(
            (hessian + ridge * np.eye(len(theta)))[:fitted, :fitted], gradient[:fitted]
        )
        tried = (theta - length * step for length in 0.5 ** np.arange(20))
        theta = next((nearer for nearer in tried if loss(nearer) < best), theta)
        before, best = best, loss(theta)
        if before - best < 1e-9:
            break
    return theta[:count], theta[count:]


def _slopes(
    probs: Floats, planes: NDArray[Any], target: NDArray[Any], share: Floats
) -> tuple[Floats, Floats]:
    """Gradient and Hessian of the log-loss in the slopes and biases."""
    count, classes = len(planes), probs.shape[1]
    mass = probs * share[:, None]
    mean = (planes * probs.astype(planes.dtype)).sum(2)
    of_true = planes[:, np.arange(len(target)), target]
    gradient = np.r_[(mean - of_true) @ share, mass.sum(0) - np.bincount(target, share, classes)]
    hessian = np.empty((count + classes, count + classes))
    weighed = planes * mass.astype(planes.dtype)
    flat = planes.reshape(count, -1)
    hessian[:count, :count] = weighed.reshape(count, -1) @ flat.T - (mean * share) @ mean.T
    hessian[:count, count:] = weighed.sum(1) - mean @ mass
    hessian[count:, :count] = hessian[:count, count:].T
    hessian[count:, count:] = np.diag(mass.sum(0)) - mass.T @ probs
    return gradient, hessian
