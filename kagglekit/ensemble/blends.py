"""How the probabilities of several models become one: the ways that a fitted method may blend.

Every blend is called with probabilities (models, clips, classes) and gives (clips, classes), >= 0, rows
adding up to 1. Each clip is blended alone, so that one clip and a million come out alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

SMALLEST = 1e-7  # a probability's lower bound inside the logarithm


class Blend(Protocol):
    """A fitted method."""

    @property
    def weights(self) -> Floats:
        """(models,), each model's part; they add up to 1."""

    def __call__(self, probs: Floats) -> Floats:
        """(models, clips, classes) -> (clips, classes)."""


def shares(scores: Floats) -> Floats:
    """Rows divided by their sums; what is below 0, as under negative weights, is 0."""
    positive: Floats = scores.clip(min=0)
    positive /= positive.sum(-1, keepdims=True)
    return positive


def softmax_of(log: Floats) -> Floats:
    """Rows of scores -> rows of probabilities."""
    odds: Floats = np.exp(log - log.max(-1, keepdims=True))
    odds /= odds.sum(-1, keepdims=True)
    return odds


def log_of(probs: Floats) -> Floats:
    """Logarithms, none below that of SMALLEST."""
    log: Floats = np.log(np.maximum(probs, SMALLEST))
    return log


def sharpened(probs: Floats, sharpness: Floats) -> Floats:
    """Each model's probabilities to the power of its sharpness (models,), the inverse of its temperature."""
    return softmax_of(log_of(probs) * sharpness.astype(probs.dtype)[:, None, None])


@dataclass(frozen=True)
class Mean:
    """Weighted arithmetic mean."""

    weights: Floats
    sharpness: Floats | None = None
    """(models,), 1 / temperature of each; None: as they are."""

    def __call__(self, probs: Floats) -> Floats:
        if self.sharpness is not None:
            probs = sharpened(probs, self.sharpness)
        mean = np.tensordot(self.weights.astype(probs.dtype), probs, axes=1)
        return mean if self.weights.min() >= 0 else shares(mean)


@dataclass(frozen=True)
class Geometric:
    """Weighted geometric mean, every row made to add up to 1."""

    weights: Floats

    def __call__(self, probs: Floats) -> Floats:
        return softmax_of(np.tensordot(self.weights.astype(probs.dtype), log_of(probs), axes=1))


@dataclass(frozen=True)
class Rank:
    """Mean of each class's rank within the clip (the Borda count); probabilities decide between equals."""

    weights: Floats

    def __call__(self, probs: Floats) -> Floats:
        classes = probs.shape[2]
        beaten = np.zeros(probs.shape[1:], probs.dtype)
        for weight, model in zip(self.weights.astype(probs.dtype), probs, strict=True):
            for rival in range(classes):
                beaten += weight * (model > model[:, rival : rival + 1])
        # The smallest difference of mean ranks is 1 / models; the means differ by less than 1 in all.
        ties = Mean(self.weights)(probs) / (2 * len(probs))
        return shares(beaten + ties)


@dataclass(frozen=True)
class Logit:
    """softmax(sum of slope * log-probability, plus a bias a class): a logistic stack."""

    slopes: Floats
    bias: Floats

    @property
    def weights(self) -> Floats:
        """Each model's part of the slopes, whatever their sign."""
        size: Floats = np.abs(self.slopes)
        size /= max(size.sum(), 1e-12)
        return size

    def __call__(self, probs: Floats) -> Floats:
        log = np.tensordot(self.slopes.astype(probs.dtype), log_of(probs), axes=1)
        return softmax_of(log + self.bias.astype(probs.dtype))
