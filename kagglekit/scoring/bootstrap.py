"""How sure a weighted mean over clips is: the bootstrap over speakers, whose clips err together.

Efron 1979, "Bootstrap methods" (https://doi.org/10.1214/aos/1176344552); whole groups are drawn, since the
clips of one speaker are not independent.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1000  # a standard error to 2 %
AT_ONCE = 100  # resamples drawn together: 65,000 single speakers take 52 MB

Floats = NDArray[np.float64]


def resample(values: NDArray[Any], weight: NDArray[Any], groups: NDArray[Any], seed: int = 0) -> Floats:
    """Weighted means of `values`, in each of RESAMPLES draws of as many groups as there are.

    Args:
        values: (clips, columns).
        weight: (clips,), what a clip counts.
        groups: (clips,), the speaker of each.
        seed: of the draws; equal seeds and groups draw alike, so that differences of two calls are paired.

    Returns:
        (RESAMPLES, columns).
    """
    names, group = np.unique(groups, return_inverse=True)
    sums = np.stack([np.bincount(group, c, len(names)) for c in (*(values.T * weight), weight)], axis=1)
    rng, chance, drawn = np.random.default_rng(seed), np.full(len(names), 1 / len(names)), []
    for _ in range(RESAMPLES // AT_ONCE):
        drawn.append(rng.multinomial(len(names), chance, AT_ONCE) @ sums)
    totals = np.concatenate(drawn)
    means: Floats = totals[:, :-1] / np.maximum(totals[:, -1:], 1e-12)
    return means


def standard_error(values: NDArray[Any], weight: NDArray[Any], groups: NDArray[Any]) -> float:
    """Standard error of the weighted mean of `values` (clips,) when other speakers had been recorded."""
    return float(resample(values[:, None], weight, groups).std())
