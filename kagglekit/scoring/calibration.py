"""Calibrate probabilities on OOF, so that they are as high as they are often right."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kagglekit.scoring.numerics import log_probs, log_softmax, softmax
from kagglekit.scoring.oof import Oof

Floats = NDArray[np.float64]

RIDGE = 1e-3  # a class without clips would otherwise be pushed to -inf
STEPS = 500  # of Newton, at most; some 8 are common
EM_STEPS = 500  # at most; some 30 are common
LEAST_INVERSE_TEMPERATURE = 0.05  # less would say that the model knows nothing


class Calibration(NamedTuple):
    """Bias-corrected temperature scaling (arXiv:1901.06852): p -> softmax((log p + bias) / temperature)."""

    inverse_temperature: float
    bias: Floats
    """(classes,)."""

    def __call__(self, probs: NDArray[Any]) -> Floats:
        """Calibrate probabilities (clips, classes)."""
        return softmax(self.inverse_temperature * (log_probs(probs) + self.bias))


def calibrate(oof: Oof) -> Calibration:
    """Fit the calibration of one run with the least weighted log-loss."""
    slopes, bias = conditional_logit(log_probs(oof.probs), oof.target, oof.share, start=np.ones(1))
    inverse_temperature = max(float(slopes[0]), LEAST_INVERSE_TEMPERATURE)
    return Calibration(inverse_temperature, bias / inverse_temperature)


def prior_by_em(probs: NDArray[Any], prior: NDArray[Any], share: NDArray[Any]) -> Floats:
    """Estimate the share of each class among clips whose probabilities suppose another prior.

    EM of Saerens et al. 2002 (https://doi.org/10.1162/089976602753284446), for calibrated probabilities
    (Alexandari et al. 2020, arXiv:1901.06852).

    Args:
        probs: (clips, classes), calibrated on clips where the classes have the shares `prior` (classes,).
        share: (clips,), weights that sum to 1.
    """
    estimate: Floats = prior
    for _ in range(EM_STEPS):
        ratio = np.divide(estimate, prior, out=np.zeros_like(prior), where=prior > 0)
        before, estimate = estimate, ratio * (probs.T @ (share / np.maximum(probs @ ratio, 1e-12)))
        if np.abs(estimate - before).max() < 1e-6:
            break
    estimate = estimate / estimate.sum()
    return estimate


def conditional_logit(
    planes: NDArray[Any],
    target: NDArray[Any],
    share: NDArray[Any],
    start: NDArray[Any],
    *,
    with_bias: bool = True,
    ridge: float = RIDGE,
) -> tuple[Floats, Floats]:
    """Fit softmax(sum of slope * plane + bias) by weighted log-loss: slopes (planes,) and biases (classes,).

    McFadden's conditional logit (1974) with a ridge towards `start` and no bias. The loss is convex, so
    Newton steps find its minimum.

    Args:
        planes: (planes, clips, classes), the features of each class.
        target: (clips,), index of the true class.
        share: (clips,), weights that sum to 1.
        start: (planes,), initial slopes.
        with_bias: fit a bias for each class; otherwise the biases are 0.
        ridge: penalty on slopes and biases, in nats for a squared distance of 2.
    """
    count, rows = len(planes), np.arange(len(target))
    start = np.r_[start, np.zeros(planes.shape[2])]
    fitted = len(start) if with_bias else count

    def log_odds(theta: Floats) -> Floats:
        return log_softmax(np.tensordot(theta[:count].astype(planes.dtype), planes, axes=1) + theta[count:])

    def loss(theta: Floats) -> float:
        surprise = -log_odds(theta)[rows, target]
        return float(share @ surprise + ridge / 2 * np.square(theta - start).sum())

    theta, best = start, loss(start)
    for _ in range(STEPS):
        gradient, hessian = _derivatives(np.exp(log_odds(theta)), planes, target, share)
        gradient += ridge * (theta - start)
        step = np.zeros(len(theta))
        step[:fitted] = np.linalg.solve(
            (hessian + ridge * np.eye(len(theta)))[:fitted, :fitted], gradient[:fitted]
        )
        candidates = (theta - length * step for length in 0.5 ** np.arange(20))
        theta = next((nearer for nearer in candidates if loss(nearer) < best), theta)
        before, best = best, loss(theta)
        if before - best < 1e-9:
            break
    return theta[:count], theta[count:]


def _derivatives(
    probs: Floats, planes: NDArray[Any], target: NDArray[Any], share: Floats
) -> tuple[Floats, Floats]:
    """Return gradient and Hessian of the log-loss in the slopes and biases."""
    count, classes = len(planes), probs.shape[1]
    mass = probs * share[:, None]
    mean = (planes * probs.astype(planes.dtype)).sum(2)
    true = planes[:, np.arange(len(target)), target]
    gradient = np.r_[(mean - true) @ share, mass.sum(0) - np.bincount(target, share, classes)]
    hessian = np.empty((count + classes, count + classes))
    weighted = planes * mass.astype(planes.dtype)
    flat = planes.reshape(count, -1)
    hessian[:count, :count] = weighted.reshape(count, -1) @ flat.T - (mean * share) @ mean.T
    hessian[:count, count:] = weighted.sum(1) - mean @ mass
    hessian[count:, :count] = hessian[:count, count:].T
    hessian[count:, count:] = np.diag(mass.sum(0)) - mass.T @ probs
    return gradient, hessian
