"""Tell two sets of clips apart by a regularised logistic regression, judged on groups that it has not heard.

Ben-David et al. 2010 (https://doi.org/10.1007/s10994-009-5152-4) measure by such a classifier how far two
domains are apart; Lopez-Paz and Oquab 2017 (arXiv:1610.06545) test with it whether there are two.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kagglekit.scoring.numerics import sigmoid

Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]

PARTS = 5
"""Of the cross-validation."""
RIDGE = 10.0  # on weights of standardised columns: four effective columns of a hundred in 300 clips
STEPS = 15  # of Newton's method, which takes six to ten
DRAWS = 400  # of the bootstrap: an end of an interval errs by a tenth of its width


class Side(NamedTuple):
    """One of the two sets of clips."""

    columns: Doubles
    """(clips, columns)."""
    group: Ints
    """(clips,), number of the speaker, the site or the recording."""
    weight: Doubles
    """(clips,), > 0."""

    def select(self, rows: NDArray[np.bool_]) -> "Side":
        """Return some of the clips."""
        return Side(self.columns[rows], self.group[rows], self.weight[rows])


def fit(columns: Doubles, target: NDArray[np.bool_], weight: Doubles) -> Doubles:
    """Fit the log-odds of `target` by Newton's method: a weight a column, and the constant, (columns + 1,).

    Args:
        weight: (clips,); the clips of each side count as half of all.
    """
    inputs = np.column_stack([columns, np.ones(len(columns))])
    share = np.where(target, weight / weight[target].sum(), weight / weight[~target].sum())
    share *= len(target) / 2
    ridge = np.full(inputs.shape[1], RIDGE)
    ridge[-1] = 1e-6
    solution = np.zeros(inputs.shape[1])
    for _ in range(STEPS):
        probs = sigmoid(np.clip(inputs @ solution, -30, 30))
        gradient = inputs.T @ (share * (probs - target)) + ridge * solution
        curvature = (inputs.T * (share * probs * (1 - probs))) @ inputs + np.diag(ridge)
        step = np.linalg.solve(curvature, gradient)
        solution -= step
        if np.abs(step).max() < 1e-3:
            break
    return solution


def parts_of(group: Ints, parts: int, seed: int = 0) -> Ints:
    """Return a part for each clip, (clips,), that splits no group; the same for the same seed."""
    names, number = np.unique(group, return_inverse=True)
    part: Ints = np.random.default_rng(seed).permutation(len(names))[number] % parts
    return part


def log_odds(first: Side, second: Side) -> tuple[Doubles, Doubles]:
    """Return the log-odds that a clip is of the second side, each by a classifier that heard no clip of its
    group; (clips,) of either side."""
    both = np.concatenate([first.columns, second.columns])
    mean, spread = both.mean(0), both.std(0) + 1e-9
    target = np.arange(len(both)) >= len(first.columns)
    columns = (both - mean) / spread
    weight = np.concatenate([first.weight, second.weight])
    parts = min(PARTS, len(np.unique(first.group)), len(np.unique(second.group)))
    part = np.concatenate([parts_of(first.group, parts), parts_of(second.group, parts)])
    odds = np.zeros(len(both))
    for number in range(parts):
        judged = part == number
        solution = fit(columns[~judged], target[~judged], weight[~judged])
        odds[judged] = columns[judged] @ solution[:-1] + solution[-1]
    return odds[~target], odds[target]


def auc(low: Doubles, high: Doubles, weight: Doubles, other_weight: Doubles) -> Doubles:
    """Return the share of pairs in which the value of `high` is higher, equal ones by half, (draws,).

    Args:
        low: (m,).
        high: (n,).
        weight: (draws, m), of `low`.
        other_weight: (draws, n), of `high`.
    """
    values = np.concatenate([low, high])
    _, place = np.unique(values, return_inverse=True)
    order = np.argsort(place, kind="stable")
    starts = np.flatnonzero(np.diff(place[order], prepend=-1))
    below = np.concatenate([weight, np.zeros_like(other_weight)], axis=1)[:, order]
    above = np.concatenate([np.zeros_like(weight), other_weight], axis=1)[:, order]
    below, above = (np.add.reduceat(each, starts, axis=1) for each in (below, above))
    pairs = (above * (np.cumsum(below, axis=1) - below / 2)).sum(1)
    total: Doubles = pairs / np.maximum(weight.sum(1) * other_weight.sum(1), 1e-12)
    return total


def auc_of(low: Doubles, high: Doubles, weight: Doubles, other_weight: Doubles) -> float:
    """Return the same of one weight a value, (m,) and (n,)."""
    return float(auc(low, high, weight[None], other_weight[None])[0])


class Apart(NamedTuple):
    """How well two sides can be told apart: 0.5 not at all, 1 always."""

    auc: float
    low: float
    """Lower end of the 95 % interval, by a bootstrap over groups."""
    high: float


def told_apart(first: Side, second: Side, seed: int = 0) -> Apart:
    """Return the AUC of the classifier; either side needs two groups."""
    values = log_odds(first, second)
    rng = np.random.default_rng(seed)
    drawn = [_drawn(side, rng) for side in (first, second)]
    draws = auc(*values, *drawn)
    low, high = np.quantile(draws, [0.025, 0.975])
    return Apart(auc_of(*values, first.weight, second.weight), float(low), float(high))


def _drawn(side: Side, rng: np.random.Generator) -> Doubles:
    """Draw as many groups as there are, often: each clip's weight, (DRAWS, clips)."""
    names, number = np.unique(side.group, return_inverse=True)
    counts = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), DRAWS)
    drawn: Doubles = counts[:, number] * side.weight
    return drawn
