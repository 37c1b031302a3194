"""Hill climbing: from the best model, mix in one more at a time with the weight that helps most.

The algorithm of the package hillclimbers (https://github.com/Matt-OP/hillclimbers, `climb_hill` with
precision 0.01), which tries every weight of a grid on every model: equal results, less work. A clip's
margin over a rival class is linear in the weight, so a clip is right for an interval of weights; counting
where intervals begin and end judges the whole grid at once.
"""

from typing import NamedTuple

import numpy as np

from kagglekit.scoring.numerics import SAME, Floats, levels
from kagglekit.scoring.oof import Ints

STEP = 0.01


class _Pairs(NamedTuple):
    """The (clip, rival class) pairs that may decide a clip, ordered by clip."""

    clip: Ints  # (pairs,)
    rival: Ints  # (pairs,)
    first: Ints  # (undecided clips,): where each clip's pairs begin
    share: Floats  # (undecided clips,)
    sure: float  # share of the clips that are right whatever is mixed in


def hill_climb(probs: Floats, target: Ints, weight: Floats, *, negative: bool) -> Floats:
    """Climb in weighted accuracy until no step helps; return weights that sum to 1, (models,).

    Args:
        probs: (models, clips, classes), out-of-fold class probabilities.
        target: (clips,), index of the true class.
        weight: (clips,), >= 0.
        negative: allow a model to be mixed in with a weight down to -0.5, which suits correlated errors.
    """
    share = weight / weight.sum()
    grid = np.arange(-0.5, 0.51, STEP) if negative else np.arange(STEP, 0.51, STEP)
    rows = np.arange(len(target))
    margins = probs - probs[:, rows, target][:, :, None]  # over the true class, which stands at 0
    lowest, highest = margins.min(0), margins.max(0)
    alone = np.array([(model.argmax(1) == target) @ share for model in probs])
    order = np.argsort(-levels(alone), kind="stable")
    weights: Floats = np.eye(len(probs))[order[0]]
    now, best, left = margins[order[0]].astype(np.float64), alone[order[0]], list(order[1:])
    while left:
        pairs = _undecided(now, lowest, highest, grid, target, share)
        curves = np.stack([_curve(now, margins[m], grid, pairs) for m in left])
        place, at = np.argwhere(curves >= curves.max() - SAME)[0]  # of equals the first
        if curves[place, at] <= best + SAME:
            break
        best, model = curves[place, at], left.pop(int(place))
        now = (1 - grid[at]) * now + grid[at] * margins[model]
        weights = (1 - grid[at]) * weights + grid[at] * np.eye(len(probs))[model]
    return weights


def _undecided(
    now: Floats, lowest: Floats, highest: Floats, grid: Floats, target: Ints, share: Floats
) -> _Pairs:
    """Find what one step can change; `lowest` and `highest` bound all models' margins (clips, classes)."""
    reach = [(1 - w) * now + np.maximum(w * lowest, w * highest) for w in (grid[0], grid[-1])]
    may = np.maximum(*reach) >= 0  # lines have their maximum at an end
    may[np.arange(len(target)), target] = False
    clip, rival = np.nonzero(may)
    undecided, first = np.unique(clip, return_index=True)
    return _Pairs(clip, rival, first, share[undecided], float(share.sum() - share[undecided].sum()))


def _curve(now: Floats, model: Floats, grid: Floats, pairs: _Pairs) -> Floats:
    """Compute the weighted accuracy of (1 - w) * now + w * model for every weight w of the grid, (grid,)."""
    if not len(pairs.first):
        return np.full(len(grid), pairs.sure)
    here = now[pairs.clip, pairs.rival]
    slope = model[pairs.clip, pairs.rival].astype(np.float64) - here
    with np.errstate(divide="ignore", invalid="ignore"):
        crossing = -here / slope
    flat = np.where(here < 0, np.inf, -np.inf)  # right for all weights, or for none
    below = np.where(slope > 0, crossing, np.where(slope < 0, np.inf, flat))
    above = np.where(slope < 0, crossing, -np.inf)
    start = np.searchsorted(grid, np.maximum.reduceat(above, pairs.first), side="right")
    stop = np.searchsorted(grid, np.minimum.reduceat(below, pairs.first), side="left")
    right = start < stop
    begins = np.bincount(start[right], pairs.share[right], len(grid) + 1)
    ends = np.bincount(stop[right], pairs.share[right], len(grid) + 1)
    return pairs.sure + np.cumsum(begins - ends)[:-1]
