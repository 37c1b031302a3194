"""Smoothing: rules that join the rows of a recording, where rows are windows of longer recordings.

A sound that is heard in one window is likely to be heard in the next, and a class that is sure of one window
is likelier in all others of the recording. Winners of BirdCLEF 2023 to 2026 gain 0.005 to 0.01 with each:

neighbours  a weighted mean with the rows before and after
recording   times the recording's highest probability of the class, to a power
both        neighbours, then recording

The weights and the power are fitted on OOF to the task's metric, by its highest value. Where no training row
is a window, nothing can be fitted: a rule that competition.yaml names has the values of UNFITTED.
"""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kagglekit.scoring.numerics import Floats
from kagglekit.scoring.oof import Oof
from kagglekit.scoring.task import Task

BASELINE = "none"
KERNELS = ((0.25, 0.5, 0.25), (0.1, 0.2, 0.4, 0.2, 0.1), (0.2, 0.2, 0.2, 0.2, 0.2))
"""Weights of a row and its neighbours."""
ALONE = (1.0,)
POWERS = (0.25, 0.5, 1.0)
OPTIONS = {
    BASELINE: ((ALONE, 0.0),),
    "neighbours": tuple(product(KERNELS, (0.0,))),
    "recording": tuple(product((ALONE,), POWERS)),
    "both": tuple(product(KERNELS, POWERS)),
}
"""Rule -> weights and powers to choose from."""
UNFITTED = {
    "neighbours": (KERNELS[0], 0.0),
    "recording": (ALONE, 0.5),
    "both": (KERNELS[0], 0.5),
}
"""Rule -> weights and power without OOF of windows: the mildest weights, the middle power."""
MOST_ROWS = 20_000
"""Rows that a rule is fitted on; of more, whole recordings are drawn."""


class Smoothing(NamedTuple):
    """A fitted rule."""

    weights: tuple[float, ...]
    """Of a row and its neighbours; an odd number, which adds up to 1."""
    power: float
    multi: bool

    def __call__(self, probs: Floats, recording: NDArray[np.integer[Any]], start: Floats) -> Floats:
        """Join rows.

        Args:
            probs: (rows, classes).
            recording: (rows,), number of each row's recording.
            start: (rows,), rises with time within a recording.

        Returns:
            (rows, classes) in [0, 1]; rows add up to 1 where each has one class. A recording's first and
            last rows stand for those beyond its ends.
        """
        order = np.lexsort((start, recording))
        rows, number = probs[order], recording[order]
        first = np.flatnonzero(np.r_[True, number[1:] != number[:-1]])
        length = np.diff(np.r_[first, len(number)])
        low, place = np.repeat(first, length), np.arange(len(number))
        high, half = low + np.repeat(length, length) - 1, len(self.weights) // 2
        joined: Floats = np.zeros_like(rows)
        for offset, weight in enumerate(self.weights, start=-half):
            joined += weight * rows[np.clip(place + offset, low, high)]
        if self.power:
            highest: Floats = np.maximum.reduceat(joined, first)
            joined *= np.repeat(highest, length, axis=0) ** self.power
        if not self.multi:
            joined /= np.maximum(joined.sum(1, keepdims=True), np.finfo(joined.dtype).tiny)
        smoothed: Floats = np.empty_like(joined)
        smoothed[order] = joined
        return smoothed

    def of(self, oof: Oof) -> Floats:
        """Return the joined rows of one blend's OOF predictions, (rows, classes)."""
        (probs,) = oof.probs
        if self.is_plain or oof.recording is None or oof.start is None:
            return np.asarray(probs)
        return self(probs, oof.recording, oof.start)

    @property
    def is_plain(self) -> bool:
        """Whether the rule changes nothing."""
        return self.weights == ALONE and not self.power

    def facts(self) -> dict[str, Any]:
        """Return what was fitted, for the record."""
        return {} if self.is_plain else {"weights": list(self.weights), "power": self.power}


def fit(name: str, oof: Oof, task: Task) -> Smoothing:
    """Fit one of OPTIONS on the predictions of one blend; of whole recordings, return that of UNFITTED."""
    if oof.recording is None and name in UNFITTED:
        return Smoothing(*UNFITTED[name], task.multi)
    rules = [Smoothing(weights, power, task.multi) for weights, power in OPTIONS[name]]
    if len(rules) == 1:
        return rules[0]
    some, metric = _some(oof), task.metric
    truth, weight = task.one_hot(some.target), some.weight if metric.weighted else None
    return metric.ranked(rules, lambda rule: metric(truth, rule.of(some), weight, some.known))[0]


def _some(oof: Oof) -> Oof:
    """Return the rows of so many recordings, drawn with a fixed seed, that they are at most MOST_ROWS."""
    if oof.recording is None or len(oof.recording) <= MOST_ROWS:
        return oof
    names, number, counts = np.unique(oof.recording, return_inverse=True, return_counts=True)
    drawn = np.random.default_rng(0).permutation(len(names))
    taken = np.zeros(len(names), bool)
    taken[drawn[np.cumsum(counts[drawn]) <= MOST_ROWS]] = True
    return oof.select(taken[number])


def describe(rule: Mapping[str, Any]) -> str:
    """Return what `Smoothing.facts` says for people; "" where nothing was fitted."""
    if not rule:
        return ""
    weights: Sequence[float] = rule["weights"]
    parts = [f"weights {' '.join(f'{weight:g}' for weight in weights)}"] if len(weights) > 1 else []
    parts += [f"the recording's highest to the power {rule['power']:g}"] * bool(rule["power"])
    return ", ".join(parts)
