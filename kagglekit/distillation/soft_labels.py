"""Soft pseudo-labels of recordings without labels, for a round of students (arXiv:1911.04252).

The targets of such a clip are the mean of the teachers' probabilities, to a power: one above 1 takes more
from what teachers are unsure of than from what they are sure of (BirdCLEF 2025, 1st place). Nothing is
fitted, so nothing that judges a student leaks into what it learns from: fold k's clips are labelled by fold
k's models alone, which have not learnt from fold k, neither themselves nor by their own teachers.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from kagglekit.data.audit import SHA1_DIGITS
from kagglekit.data.clips import training_rows
from kagglekit.data.prepare import Prepared
from kagglekit.distillation.teaching import (
    Mask,
    labels_of,
    may_teach,
    rows_without_labels,
    soft_table,
    teachers_logits,
)
from kagglekit.ensemble.fitted import probs_to_blend
from kagglekit.errors import KagglekitError, plural
from kagglekit.files import parquet
from kagglekit.files.atomic import building
from kagglekit.files.keys import key_of
from kagglekit.runs.store import Run
from kagglekit.scoring.metrics.base import THRESHOLD
from kagglekit.scoring.numerics import Floats
from kagglekit.scoring.oof import Oof
from kagglekit.scoring.task import Task
from kagglekit.terminal import console
from kagglekit.training.soft_targets import folder_of, table_path, write_facts

VERSION = 1
ONE_CLASS = (
    0.99  # share of the clips whose likeliest class is the same, from which a student would learn it alone
)
_UNHEARD = ("empty", "unreadable")


class SoftAudit(NamedTuple):
    """The same targets for OOF clips, whose labels are known, by models that did not learn from them."""

    precision: float
    """Share of the pairs of a clip and a class with a target of at least 0.5 that are right, weighted as the
    test has them; 0 where there is none."""
    recall: float
    """Share of the true pairs among them."""
    mass: float
    """Share of the sum of all targets that is on true pairs."""


def transform(probs: Floats, power: float, task: Task) -> Floats:
    """Return targets (clips, classes): the probabilities to a power; with one class a clip they sum to 1."""
    targets: Floats = probs.astype(np.float64) ** power
    return targets if task.multi else targets / np.maximum(targets.sum(1, keepdims=True), 1e-12)


def audit(oof: Oof, power: float, task: Task) -> SoftAudit:
    """Compare the targets that the teachers would give the OOF clips with their labels."""
    targets, truth = transform(oof.probs.mean(0), power, task), task.one_hot(oof.target)
    weight = np.repeat(oof.weight[:, None], truth.shape[1], 1)
    if oof.known is not None:
        weight = weight * oof.known
    called = targets >= THRESHOLD
    right = float((weight * (called & truth)).sum())
    return SoftAudit(
        right / max(float((weight * called).sum()), 1e-12),
        right / max(float((weight * truth).sum()), 1e-12),
        float((weight * targets * truth).sum()) / max(float((weight * targets).sum()), 1e-12),
    )


def candidates(clips: pl.DataFrame, with_test: bool) -> Mask:
    """Return which of `rows_without_labels` may teach at all, (rows,), and say what is left out.

    Args:
        with_test: let the test's clips join, too. Copies of them among the others never do.

    Raises:
        KagglekitError: there is none.
    """
    rows, digest = rows_without_labels(clips), pl.col("sha1").str.head(SHA1_DIGITS)
    of_split = {
        split: clips.filter(pl.col("split") == split).select(digest)["sha1"].drop_nulls().implode()
        for split in ("train", "test")
    }
    further, heard = (
        pl.col("split") == "unlabelled",
        pl.col("problem").is_in(_UNHEARD).fill_null(False).not_(),
    )
    copies = {split: (further & digest.is_in(sha1)).fill_null(False) for split, sha1 in of_split.items()}
    marked = rows.select(
        joins=heard & (further | pl.lit(with_test)) & ~copies["test"] & ~copies["train"], **copies
    )
    for split, what in (("test", "the test"), ("train", "the training")):
        if count := int(marked[split].sum()):
            console.note(f"data.unlabelled: {plural(count, 'clip')} left out, copies of clips of {what}")
    joins = marked["joins"].to_numpy()
    if not joins.any():
        tested = "" if with_test else ", and the test is left out"
        raise KagglekitError(
            f"there is nothing to pseudo-label: data.unlabelled has no recordings that could teach{tested}",
            hint="name recordings without labels as data.unlabelled"
            + ("" if with_test else ", or add --test where the rules allow it"),
        )
    return joins


def make(prepared: Prepared, runs: Sequence[Run], power: float, joins: Mask, facts: dict[str, Any]) -> str:
    """Write the pseudo-labels that each fold's student learns from, and return their key.

    Args:
        joins: what `candidates` returned.
        facts: what to note beside the teachers.

    Raises:
        KagglekitError: nearly all clips of a fold get the same class.
    """
    test = bool(joins[(rows_without_labels(prepared.clips)["split"] == "test").to_numpy()].any())
    keep = prepared.config.labels.keep_fillers
    key = key_of("rounds", VERSION, prepared.key, sorted(run.id for run in runs), power, test, keep)
    with building(folder_of(prepared.workspace, key), key) as folder:
        if folder is not None:
            for fold in range(prepared.config.validation.folds):
                parquet.write(_label(prepared, runs, power, joins, fold), table_path(folder, fold))
            write_facts(folder, "rounds", {run.id: run.score.shift for run in runs}, facts)
    return key


def _label(prepared: Prepared, runs: Sequence[Run], power: float, joins: Mask, fold: int) -> pl.DataFrame:
    """Return the clips without labels that one fold learns from, with the teachers' targets.

    A class that no training clip of the fold has is known to no teacher: it has no loss, and with one class
    a clip, clips that are likeliest of it are left out.
    """
    task, clips, silence = prepared.task, prepared.clips, prepared.config.labels.silence
    probs = probs_to_blend(teachers_logits(prepared, runs, fold), task).mean(0)
    targets = transform(probs, power, task)
    labels = training_rows(clips, fold, prepared.config, seed=0)["label"]
    untaught = ~np.any(task.truth(labels.drop_nulls()), axis=0)
    best = targets.argmax(1)
    chosen = joins & may_teach(prepared.config, clips, fold)
    chosen &= task.multi | ~untaught[best]
    _check_classes(best[chosen], task, fold)
    named = targets >= THRESHOLD if task.multi else task.one_hot(best)
    label = pl.Series(labels_of(named, task), dtype=pl.String)
    part = pl.Series(["silence" if name == silence else "keyword" for name in label], dtype=pl.String)
    rows = rows_without_labels(clips).with_columns(label=label, part=part)
    hidden = np.tile(untaught, (len(rows), 1)) if task.multi and untaught.any() else None
    return soft_table(rows, targets, hidden, task).filter(pl.Series(chosen))


def _check_classes(best: Any, task: Task, fold: int) -> None:
    """Raise a KagglekitError where nothing may teach a fold, or where all that may is of one class."""
    if not len(best):
        raise KagglekitError(
            f"no clip without labels may teach fold {fold}: all are of its recordings or groups",
            hint="name other recordings as data.unlabelled",
        )
    counts = np.bincount(best, minlength=len(task.classes))
    if len(best) > 1 and counts.max() >= ONE_CLASS * len(best):
        raise KagglekitError(
            f"pseudo-labels of one class: of fold {fold}, {counts.max():,} of {len(best):,} clips are "
            f"likeliest '{task.classes[int(counts.argmax())]}', and a student would learn to say it always",
            hint="name other teachers, or other recordings as data.unlabelled",
        )
