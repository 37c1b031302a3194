"""Make folds that resemble the hidden test: other speakers, and unseen filler words.

Every clip is validated exactly once, in the fold of its speaker. Every filler word belongs to a fold, too,
whose training leaves it out, whoever speaks it. So in validation, fold k's words spoken by fold k's
speakers are unseen words, as are half of the unknown clips in the hidden test.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from kagglekit.errors import ConfigError, plural


def grouped_folds(groups: Sequence[str], strata: Sequence[str], folds: int, seed: int) -> NDArray[np.int32]:
    """Return each clip's fold, 0 ... folds - 1, without splitting a group and with strata spread evenly.

    The groups, largest first (equal ones in seeded order), go one by one to the fold that leaves the strata
    most evenly spread: the greedy method of scikit-learn's StratifiedGroupKFold.

    Args:
        groups: (clips,) the speakers.
        strata: (clips,) the words.
        seed: seed of the order of groups that have the same size.

    Raises:
        ConfigError: there are fewer groups than folds.
    """
    group_names, group_of = np.unique(np.asarray(groups), return_inverse=True)
    stratum_names, stratum_of = np.unique(np.asarray(strata), return_inverse=True)
    if len(group_names) < folds:
        raise ConfigError(
            f"{folds} folds cannot be made of {plural(len(group_names), 'group')}",
            hint="set validation.folds lower, or check data.train.group",
        )
    counts = np.zeros((len(group_names), len(stratum_names)))
    np.add.at(counts, (group_of, stratum_of), 1)
    share = counts / counts.sum(0)  # of a stratum, so that rare words weigh as much as common ones
    order = np.random.default_rng(seed).permutation(len(group_names))
    order = order[np.argsort(-counts[order].sum(1), kind="stable")]
    filled = np.zeros((folds, len(stratum_names)))  # share of each stratum in each fold so far
    sizes = np.zeros(folds)
    fold_of = np.zeros(len(group_names), dtype=np.int32)
    for group in order:
        # The sum of squared shares grows least in the fold where the group's words are scarcest.
        growth = filled @ share[group] + 1e-3 * sizes / len(groups)
        fold = int(np.argmin(growth))
        fold_of[group] = fold
        filled[fold] += share[group]
        sizes[fold] += counts[group].sum()
    result: NDArray[np.int32] = fold_of[group_of]
    return result


def word_folds(words: Sequence[str], folds: int) -> dict[str, int]:
    """Return the fold whose training leaves out each filler word, from the word of each filler clip."""
    return even_folds(Counter(words), folds)


def even_folds(sizes: Mapping[str, int], folds: int) -> dict[str, int]:
    """Return a fold for each name: the largest goes first, each to the fold whose total size is smallest."""
    totals = [0] * folds
    name2fold: dict[str, int] = {}
    for name, size in sorted(sizes.items(), key=lambda item: (-item[1], item[0])):
        name2fold[name] = totals.index(min(totals))
        totals[name2fold[name]] += size
    return name2fold
