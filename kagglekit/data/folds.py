"""Folds that look like the hidden test: other speakers, and filler words that training never heard.

Every clip is validated exactly once, by the fold of its speaker. Every filler word belongs to one
fold as well, and is left out of that fold's training altogether, whoever speaks it. So the clips
of fold k's speakers with fold k's words are, for the model of fold k, what half the unknown clips
of the hidden test are: words never heard.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kagglekit.errors import ConfigError


def grouped_folds(groups: Sequence[str], strata: Sequence[str], folds: int, seed: int) -> NDArray[np.int32]:
    """Fold of each clip: groups are never split, strata are spread evenly.

    Groups, largest first (ties in seeded order), each go to the fold that leaves the strata most
    evenly spread: the greedy method of scikit-learn's StratifiedGroupKFold.

    Args:
        groups: (clips,) speaker of each clip.
        strata: (clips,) word of each clip.
        folds: how many.
        seed: of the order among groups of one size.

    Returns:
        (clips,) fold numbers 0 ... folds - 1.

    Raises:
        ConfigError: there are fewer groups than folds.
    """
    group_names, group_of = np.unique(np.asarray(groups), return_inverse=True)
    stratum_names, stratum_of = np.unique(np.asarray(strata), return_inverse=True)
    if len(group_names) < folds:
        raise ConfigError(
            f"{folds} folds cannot be made of {len(group_names)} speakers",
            hint="set validation.folds lower, or check data.speaker_pattern",
        )
    counts = np.zeros((len(group_names), len(stratum_names)))
    np.add.at(counts, (group_of, stratum_of), 1)
    share = counts / counts.sum(0)  # of each stratum, so that rare words weigh as much as common ones
    order = np.random.default_rng(seed).permutation(len(group_names))
    order = order[np.argsort(-counts[order].sum(1), kind="stable")]
    held = np.zeros((folds, len(stratum_names)))
    sizes = np.zeros(folds)
    fold_of = np.zeros(len(group_names), dtype=np.int32)
    for group in order:
        # sum of squares grows least where the group's words are scarcest
        growth = held @ share[group] + 1e-3 * sizes / len(groups)
        fold = int(np.argmin(growth))
        fold_of[group] = fold
        held[fold] += share[group]
        sizes[fold] += counts[group].sum()
    result: NDArray[np.int32] = fold_of[group_of]
    return result


def word_folds(words: Sequence[str], folds: int) -> dict[str, int]:
    """Fold in whose training a filler word is never heard: words dealt so that clips are even.

    Args:
        words: (clips,) the word of each filler clip.
        folds: how many.
    """
    totals = [0] * folds
    chosen: dict[str, int] = {}
    for word, count in sorted(Counter(words).items(), key=lambda item: (-item[1], item[0])):
        fold = totals.index(min(totals))
        chosen[word] = fold
        totals[fold] += count
    return chosen
