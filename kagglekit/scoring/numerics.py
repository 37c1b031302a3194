"""Logits, log-probabilities and probabilities: the only softmax and sigmoid on numpy arrays."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

Floats = NDArray[np.floating[Any]]

SMALLEST = 1e-7  # lower bound of a probability inside a logarithm
MARGIN = 1e-6  # distance that probabilities keep from 0 and 1 inside a logit
SMALLEST_MEAN = 1e-12  # added to a mean of probabilities before its logarithm
SAME = 1e-9  # scores closer than this are equal: far less than a clip, far more than rounding


def levels(scores: ArrayLike) -> NDArray[np.int64]:
    """Number scores (n,) from the lowest, 0; those that differ by rounding alone share a number.

    A choice by these numbers is the same on every machine, whatever the order of its additions.
    """
    values = np.asarray(scores, np.float64)
    order = np.argsort(values, kind="stable")
    with np.errstate(invalid="ignore"):  # of two infinities
        steps = np.diff(values[order], prepend=values[order][:1]) > SAME
    numbers = np.empty(len(values), np.int64)
    numbers[order] = np.cumsum(steps)
    return numbers


def softmax(logits: Floats, dtype: DTypeLike | None = np.float64) -> NDArray[Any]:
    """Return probabilities that add up to 1 along the last axis, in `dtype` (None: that of the logits)."""
    odds: NDArray[Any] = np.subtract(logits, logits.max(-1, keepdims=True), dtype=dtype)
    np.exp(odds, out=odds)
    odds /= odds.sum(-1, keepdims=True)
    return odds


def log_softmax(logits: Floats) -> NDArray[Any]:
    """Return log-probabilities along the last axis, in float64."""
    log: NDArray[Any] = np.subtract(logits, logits.max(-1, keepdims=True), dtype=np.float64)
    log -= np.log(np.exp(log).sum(-1, keepdims=True))
    return log


def logsumexp(logits: Floats) -> NDArray[Any]:
    """Return the logarithm of the sum of exponentials along the last axis, which is dropped."""
    peak = logits.max(-1, keepdims=True)
    total: NDArray[Any] = peak[..., 0] + np.log(np.exp(logits - peak).sum(-1))
    return total


def log_probs(probs: Floats) -> NDArray[Any]:
    """Return the logarithms of probabilities, none below that of SMALLEST."""
    log: NDArray[Any] = np.log(np.maximum(probs, SMALLEST))
    return log


def sigmoid(logits: Floats) -> NDArray[np.float64]:
    """Return the probability of each class on its own from its log-odds."""
    probs: NDArray[np.float64] = 1 / (1 + np.exp(-logits.astype(np.float64)))
    return probs


def logit(probs: Floats) -> NDArray[np.float64]:
    """Return the log-odds of probabilities, which are first moved MARGIN away from 0 and 1."""
    inside = probs.astype(np.float64).clip(MARGIN, 1 - MARGIN)
    odds: NDArray[np.float64] = np.log(inside) - np.log1p(-inside)
    return odds


def logits_from(probs: Floats, multi: bool) -> NDArray[Any]:
    """Turn probabilities into their logarithms, or into log-odds where `multi`."""
    logits: NDArray[Any] = np.log(probs + SMALLEST_MEAN)
    return logits - np.log1p(SMALLEST_MEAN - probs) if multi else logits


def mean_logits(logits: Floats, multi: bool) -> NDArray[Any]:
    """Average the probabilities of folds: logits (folds, ..., classes) to logits (..., classes), float64."""
    probs = sigmoid(logits) if multi else softmax(logits)
    return logits_from(probs.mean(0), multi)
