"""Blends: how the probabilities of several runs become those of one.

A blend takes probabilities (models, clips, classes) and returns (clips, classes), >= 0, with rows that add up
to 1 where a clip has one class. It treats each clip alone, so that one clip and a million give equal results.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from kagglekit.scoring.numerics import Floats, log_probs, logit, sigmoid, softmax

LEVELS = 257  # of a class's quantiles
EDGE = 1e-3  # share of a rank that its log-odds break ties with


class Blend(Protocol):
    """A fitted blend."""

    @property
    def weights(self) -> Floats:
        """(models,), summing to 1."""

    def __call__(self, probs: Floats) -> Floats:
        """Blend (models, clips, classes) into (clips, classes)."""


def weighted_sum(weights: Floats, values: Floats) -> Floats:
    """Sum `values` (models, clips, classes) over the models, in their own precision."""
    total: Floats = np.tensordot(weights.astype(values.dtype), values, axes=1)
    return total


def normalised(scores: Floats) -> Floats:
    """Divide rows by their sums, after negative scores, as negative weights give them, became 0."""
    positive: Floats = scores.clip(min=0)
    positive /= positive.sum(-1, keepdims=True)
    return positive


@dataclass(frozen=True)
class Mean:
    """Weighted arithmetic mean."""

    weights: Floats
    inverse_temperatures: Floats | None = None
    """(models,), by which log-probabilities are multiplied first; None: by nothing."""

    def __call__(self, probs: Floats) -> Floats:
        if self.inverse_temperatures is not None:
            scale = self.inverse_temperatures.astype(probs.dtype)[:, None, None]
            probs = softmax(log_probs(probs) * scale, dtype=None)
        mean = weighted_sum(self.weights, probs)
        return mean if self.weights.min() >= 0 else normalised(mean)


@dataclass(frozen=True)
class Geometric:
    """Weighted geometric mean, normalised."""

    weights: Floats

    def __call__(self, probs: Floats) -> Floats:
        return softmax(weighted_sum(self.weights, log_probs(probs)), dtype=None)


@dataclass(frozen=True)
class MeanLogit:
    """Weighted mean of log-odds, for clips with several classes."""

    weights: Floats

    def __call__(self, probs: Floats) -> Floats:
        return sigmoid(weighted_sum(self.weights, logit(probs)))


@dataclass(frozen=True)
class Rank:
    """Mean rank of each class within the clip (the Borda count); probabilities break ties."""

    weights: Floats

    def __call__(self, probs: Floats) -> Floats:
        classes = probs.shape[2]
        beaten = np.zeros(probs.shape[1:], probs.dtype)
        for weight, model in zip(self.weights.astype(probs.dtype), probs, strict=True):
            for rival in range(classes):
                beaten += weight * (model > model[:, rival : rival + 1])
        # Mean ranks differ by at least 1 / models, mean probabilities by less than 1.
        ties = Mean(self.weights)(probs) / (2 * len(probs))
        return normalised(beaten + ties)


@dataclass(frozen=True)
class Quantile:
    """Weighted mean of each class's rank among the rows, where a row may have several classes.

    Ranks are those among OOF rows, interpolated, so that it does not matter which rows are blended together.
    """

    weights: Floats
    knots: Floats
    """(models, classes, levels), log-odds at equally spaced quantiles of the OOF rows."""

    @classmethod
    def fit(cls, weights: Floats, probs: Floats) -> "Quantile":
        """Take the quantiles of OOF probabilities (models, rows, classes)."""
        return cls(weights, np.quantile(logit(probs), np.linspace(0, 1, LEVELS), axis=1).transpose(1, 2, 0))

    def __call__(self, probs: Floats) -> Floats:
        log, levels = logit(probs), np.linspace(0, 1, self.knots.shape[2])
        mean: Floats = np.zeros(probs.shape[1:])
        for weight, model, knots in zip(self.weights, log, self.knots, strict=True):
            for place, column in enumerate(model.T):
                inside = np.interp(column, knots[place], levels)
                # beyond the knots ranks go on, so that the most certain rows do not tie
                mean[:, place] += weight * (inside * (1 - 2 * EDGE) + EDGE + EDGE * np.tanh(column / 20))
        return mean


@dataclass(frozen=True)
class Logit:
    """softmax(sum of slope * log-probability + bias of the class): logistic stacking."""

    slopes: Floats
    bias: Floats

    @property
    def weights(self) -> Floats:
        """(models,), absolute slopes scaled to sum to 1."""
        size: Floats = np.abs(self.slopes)
        size /= max(size.sum(), 1e-12)
        return size

    def __call__(self, probs: Floats) -> Floats:
        log = weighted_sum(self.slopes, log_probs(probs))
        return softmax(log + self.bias.astype(probs.dtype), dtype=None)
