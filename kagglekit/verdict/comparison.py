"""Compare the test's clips with those that the folds train and validate on, without labels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kagglekit.features.clip_statistics import BANDS, DECIBELS, ClipStatistics
from kagglekit.verdict.classifier import Apart, Doubles, Ints, Side, auc_of, told_apart
from kagglekit.verdict.distance import Distances, Folds, beyond, distances
from kagglekit.verdict.facts import Difference, DomainGap

SEPARATED = 0.65  # below such an AUC there is nothing to explain
LENGTH = "length"
LEAST_SPREAD = {"dB": 0.5, "kHz": 0.1, "s": 0.1}
"""Standard deviations below which groups count as equal, by unit."""


class TrainClips(NamedTuple):
    """Clips that folds train on, and those they validate."""

    statistics: ClipStatistics
    group: Ints
    folds: Folds
    seconds: Doubles
    """(clips,), length of the recording, or of the part that is annotated."""


class OtherClips(NamedTuple):
    """Clips without labels."""

    statistics: ClipStatistics
    group: Ints
    """(clips,), number of the recording."""
    seconds: Doubles


def compare(train: TrainClips, test: OtherClips, edges: Doubles, split: str = "test") -> DomainGap:
    """Compare two sets of clips, each of two groups at least.

    Args:
        edges: upper edge of each band in Hz, (BANDS,).
    """
    judged = train.folds.judged
    heard, weight = train.statistics.heard, train.folds.weight
    first = Side(heard, train.group, weight).select(judged)
    second = Side(test.statistics.heard, test.group, np.ones(len(test.group)))
    apart = told_apart(first, second)
    background = _distances(train, test, "background")
    sounds = _distances(train, test, "sounds")
    own = weight[judged]
    differences = _differences(train, test, edges)
    new, new_of_folds = _new_sounds(background, sounds, train.folds)
    return DomainGap(
        split=split,
        train_clips=len(weight),
        test_clips=len(second.weight),
        auc=apart.auc,
        auc_low=apart.low,
        auc_high=apart.high,
        fold_auc=_fold_auc(first, train.folds.fold[judged], apart),
        far=auc_of(background.validation, background.test, own, second.weight),
        new_sounds=new,
        fold_new_sounds=new_of_folds,
        shift=max(each.shift for each in differences if each.name != LENGTH),
        differences=differences,
    )


def _distances(train: TrainClips, test: OtherClips, name: str) -> Distances:
    rows, others = (getattr(side.statistics, name).astype(np.float64) for side in (train, test))
    return distances(rows, others, train.folds)


def _new_sounds(background: Distances, sounds: Distances, folds: Folds) -> tuple[float, float]:
    """Return the share of clips with new sounds on a known background: of the test, and of the worst fold."""
    own, fold = folds.weight[folds.judged], folds.fold[folds.judged]
    new = beyond(sounds.test, sounds.validation, own)
    odd = beyond(background.test, background.validation, own)
    of_test = float((new & ~odd).mean())
    of_folds = []
    for number in folds.numbers:
        here = fold == number
        if here.any() and not here.all():
            new = beyond(sounds.validation[here], sounds.validation[~here], own[~here])
            odd = beyond(background.validation[here], background.validation[~here], own[~here])
            of_folds.append(float(own[here] @ (new & ~odd) / max(own[here].sum(), 1e-12)))
    return of_test, max(of_folds, default=0.0)


def _fold_auc(judged: Side, fold: Ints, apart: Apart) -> float | None:
    """Return the highest AUC by which one fold's clips can be told from the others'."""
    if apart.low < SEPARATED:
        return None
    found = []
    for number in np.unique(fold):
        here = fold == number
        one, others = judged.select(here), judged.select(~here)
        one = one._replace(group=np.arange(len(one.weight)))  # as the test's groups are not known either
        if min(len(np.unique(side.group)) for side in (one, others)) > 1:
            found.append(told_apart(others, one).auc)
    return max(found, default=None)


def _differences(train: TrainClips, test: OtherClips, edges: Doubles) -> list[Difference]:
    judged = train.folds.judged
    weight, group = train.folds.weight[judged], train.group[judged]
    ours, theirs = _named(train, edges), _named(test, edges)
    ones = np.ones(len(test.group))
    differences = [
        Difference(
            name=name,
            unit=unit,
            auc=auc_of(values[judged], theirs[name, unit], weight, ones),
            train=_median(values[judged], weight),
            test=float(np.median(theirs[name, unit])),
            shift=_shift(values[judged], group, theirs[name, unit], LEAST_SPREAD[unit]),
        )
        for (name, unit), values in ours.items()
    ]
    return sorted(differences, key=lambda one: (one.name == LENGTH, -abs(one.auc - 0.5)))


def _shift(values: Doubles, group: Ints, others: Doubles, least: float) -> float:
    """Return how far the mean of others is from that of the groups' means, in their standard deviations."""
    number = np.unique(group, return_inverse=True)[1]
    means = np.bincount(number, values) / np.bincount(number)
    return float(abs(others.mean() - means.mean()) / max(means.std(ddof=1), least))


def _named(side: TrainClips | OtherClips, edges: Doubles) -> dict[tuple[str, str], Doubles]:
    """Return statistics that have a name, each (clips,), by name and unit."""
    each = side.statistics
    third = BANDS // 3
    low, high = (f"{edges[place] / 1000:.1f} kHz" for place in (third - 1, BANDS - third - 1))
    background = DECIBELS * each.background.astype(np.float64)
    return {
        ("level", "dB"): DECIBELS * each.level.astype(np.float64),
        (f"background below {low}", "dB"): background[:, :third].mean(1),
        (f"background from {low} to {high}", "dB"): background[:, third:-third].mean(1),
        (f"background above {high}", "dB"): background[:, -third:].mean(1),
        ("bandwidth", "kHz"): each.bandwidth.astype(np.float64) / 1000,
        ("sounds above the background", "dB"): DECIBELS * each.sounds.mean(1, dtype=np.float64),
        (LENGTH, "s"): side.seconds,
    }


def _median(values: Doubles, weight: Doubles) -> float:
    order = np.argsort(values, kind="stable")
    share = np.cumsum(weight[order]) / max(weight.sum(), 1e-12)
    return float(values[order][min(int(np.searchsorted(share, 0.5)), len(values) - 1)])
