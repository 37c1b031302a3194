"""Pseudo-labels where a clip may have several classes: which of them are surely present, and which absent.

A class is present in a test clip where at least `agree` runs give it a probability from a threshold on, and
absent where as many give it at most another. Both are fitted on OOF, for each class: those called present
must be so with the wanted precision, and of those called absent no more may be present than the precision
allows, be it as a share of them or of all clips that have the class (most classes are absent from most clips,
so that the first alone would let anything pass). All other pairs of a clip and a class have no loss.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kagglekit.data.clips import training_rows
from kagglekit.data.prepare import Prepared
from kagglekit.distillation.rules import MAX_ERRORS, MIN_CLIPS, NEVER, Audit, PseudoLabelRule
from kagglekit.distillation.teaching import (
    Mask,
    labels_of,
    may_teach,
    rows_without_labels,
    soft_table,
    teachers_logits,
)
from kagglekit.ensemble.fitted import probs_to_blend
from kagglekit.runs.store import Run
from kagglekit.scoring.numerics import Floats
from kagglekit.scoring.oof import Oof


class Verdicts(NamedTuple):
    """Which pairs of a clip and a class are pseudo-labelled, each (clips, classes)."""

    present: Mask
    absent: Mask


class ClassLimits(NamedTuple):
    """Thresholds of a class, each (classes,)."""

    present: Floats
    """Lowest probability of a class that is present; NEVER: it never is."""
    absent: Floats
    """Highest probability of a class that is absent; -NEVER: it never is."""

    def verdicts(self, probs: Floats, agree: int) -> Verdicts:
        """Judge probabilities (runs, clips, classes); what would be both is neither."""
        high, low = _sides(probs, agree)
        present, absent = high >= self.present, low <= self.absent
        return Verdicts(present & ~absent, absent & ~present)


def _sides(probs: Floats, agree: int) -> tuple[Floats, Floats]:
    """Return the probabilities that `agree` runs reach, and do not exceed, (clips, classes) each."""
    ordered = np.sort(probs, axis=0)
    return ordered[-agree], ordered[agree - 1]


def fit(oof: Oof, rest: Mask, rule: PseudoLabelRule) -> ClassLimits:
    """Fit the thresholds on the clips `rest`.

    A precision is halfway from the required one to 1: a threshold looks better on the clips that it was
    chosen on than on others.
    """
    wanted, classes = (1 + rule.precision) / 2, oof.probs.shape[2]
    high, low = _sides(oof.probs, rule.agree)
    limits = ClassLimits(np.full(classes, NEVER), np.full(classes, -NEVER))
    for index in range(classes):
        known = rest if oof.known is None else rest & oof.known[:, index]
        rows = np.flatnonzero(known)
        truth = oof.target[rows, index]
        order = np.argsort(-high[rows, index], kind="stable")
        count = np.arange(1, len(rows) + 1)
        enough = (np.cumsum(truth[order]) >= wanted * count) & (count >= MIN_CLIPS)
        if enough.any():
            limits.present[index] = high[rows[order[np.flatnonzero(enough)[-1]]], index]
        order = np.argsort(low[rows, index], kind="stable")
        missed = np.cumsum(truth[order])
        enough = (missed <= (1 - wanted) * np.minimum(count, truth.sum())) & (count >= MIN_CLIPS)
        if enough.any() and truth.sum() >= MIN_CLIPS:
            limits.absent[index] = low[rows[order[np.flatnonzero(enough)[-1]]], index]
    return limits


def audit(oof: Oof, rule: PseudoLabelRule, classes: Sequence[str]) -> Audit:
    """Apply the rule to OOF: each fold's clips with the thresholds of the others.

    A class that is wrong more than twice as often as the rule allows is excluded.
    """
    present, absent = np.zeros((2, *oof.target.shape), bool)
    for number in np.unique(oof.fold):
        here = oof.fold == number
        verdicts = fit(oof, ~here, rule).verdicts(oof.probs[:, here], rule.agree)
        present[here], absent[here] = verdicts
    known = np.ones(oof.target.shape, bool) if oof.known is None else oof.known
    present, absent, truth = present & known, absent & known, oof.target & known
    least = 1 - MAX_ERRORS * (1 - rule.precision)
    by_class, by_absence, left_out = {}, {}, []
    for index, name in enumerate(classes):
        right = _share(truth[:, index], present[:, index]), _share(~truth[:, index], absent[:, index])
        by_class[name] = int(present[:, index].sum()), right[0]
        by_absence[name] = int(absent[:, index].sum()), right[1]
        missed = _share(absent[:, index], truth[:, index])
        wrong = (present[:, index].any() and right[0] < least) or (
            absent[:, index].any() and right[1] < least
        )
        if wrong or missed > 1 - least:
            left_out.append(name)
            present[:, index] = absent[:, index] = False
    coverage = float((present | absent).sum() / max(known.sum(), 1)) if present.any() else 0.0
    return Audit(coverage, _share(truth, present), by_class, tuple(left_out), by_absence)


def _share(right: Mask, chosen: Mask) -> float:
    """Return the share of the chosen pairs that are right; 0 where none is chosen."""
    return float(right[chosen].mean()) if chosen.any() else 0.0


def label(
    prepared: Prepared,
    runs: Sequence[Run],
    oof: Oof,
    rule: PseudoLabelRule,
    left_out: Sequence[str],
    fold: int,
) -> pl.DataFrame:
    """Return the test clips that one fold learns from: targets 1 if present, 0 if absent, others masked."""
    task = prepared.task
    probs = probs_to_blend(teachers_logits(prepared, runs, fold), task)
    present, absent = fit(oof, oof.fold != fold, rule).verdicts(probs, rule.agree)
    left = np.isin(task.classes, left_out)
    present, absent = present & ~left, absent & ~left
    sure = present.any(1) | (absent | left).all(1)
    chosen = _draw(prepared, present, sure & may_teach(prepared.config, prepared.clips, fold), rule, fold)
    present, absent = present[chosen], absent[chosen]
    rows = rows_without_labels(prepared.clips)[chosen].with_columns(
        part=pl.lit("keyword"), label=pl.Series(labels_of(present, task), dtype=pl.String)
    )
    return soft_table(rows, present.astype(np.float64), ~(present | absent), task)


def _draw(
    prepared: Prepared, present: Mask, allowed: Mask, rule: PseudoLabelRule, fold: int
) -> NDArray[np.int64]:
    """Draw the indices of the clips that join: of each class, and of none, at most its share of the training.

    Args:
        present: (clips, classes).
        allowed: (clips,).
    """
    rows = training_rows(prepared.clips, fold, prepared.config, rule.seed)
    room = rule.share / (1 - rule.share)
    truth = prepared.task.truth(rows["label"])
    kinds = np.column_stack([present, ~present.any(1)])
    left = np.round(room * np.append(truth.sum(0), (~truth.any(1)).sum()))
    chosen: list[int] = []
    for place in np.random.default_rng([rule.seed, fold]).permutation(np.flatnonzero(allowed)):
        if len(chosen) < round(room * len(rows)) and (left[kinds[place]] > 0).all():
            left[kinds[place]] -= 1
            chosen.append(int(place))
    return np.sort(np.array(chosen, np.int64))
