"""Distillation: a small student learns an ensemble's probabilities (Hinton et al. 2015, arXiv:1503.02531).

Fold k's student learns from fold k's models alone, blended by what was fitted on the other folds: no teacher
has learnt from the speakers and words that judge the student, so its OOF score is as valid as any run's. (The
models of the other folds have learnt from fold k's labels; their OOF predictions for the student's training
clips would leak them.) The teachers are surer of these training clips than of others, since they have learnt
from them; so a training clip's target mixes its label with the teachers' probabilities. Test clips, which no
teacher has learnt from, join with the teachers' probabilities alone.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl

from kagglekit.data.clips import training_rows
from kagglekit.data.prepare import Prepared
from kagglekit.distillation.teaching import (
    labels_of,
    may_teach,
    predict_rows,
    rows_without_labels,
    soft_table,
    teachers_logits,
)
from kagglekit.ensemble.blends import Blend
from kagglekit.ensemble.fitted import probs_to_blend
from kagglekit.ensemble.methods import methods_for
from kagglekit.errors import ConfigError, MissingError
from kagglekit.files import parquet
from kagglekit.files.atomic import building
from kagglekit.files.keys import key_of
from kagglekit.runs.store import Run, load_fold, train_again
from kagglekit.scoring.metrics.base import THRESHOLD
from kagglekit.scoring.oof import Oof
from kagglekit.terminal import progress
from kagglekit.training.loss_weights import hidden_classes
from kagglekit.training.soft_targets import folder_of, label_targets, table_path, write_facts

VERSION = 2
LABEL_SHARE = 0.3  # weight of the label in a training clip's target


def make(prepared: Prepared, runs: Sequence[Run], oof: Oof, method: str) -> str:
    """Write the soft targets that each fold's student learns from, and return their key.

    Raises:
        MissingError: a teacher cannot be loaded any more.
    """
    _check_teachers(runs)
    config = prepared.config
    identities, settings = [run.id for run in runs], config.ensemble.model_dump()
    key = key_of("distill", VERSION, prepared.key, identities, method, settings, config.labels.keep_fillers)
    with building(folder_of(prepared.workspace, key), key) as folder:
        if folder is None:
            return key
        for fold in range(config.validation.folds):
            blend = methods_for(prepared.task)[method](oof.select(oof.fold != fold), config.ensemble)
            targets = [
                _train_targets(prepared, runs, blend, fold),
                _test_targets(prepared, runs, blend, fold),
            ]
            parquet.write(pl.concat(targets), table_path(folder, fold))
        shifts = {run.id: run.score.shift for run in runs}
        write_facts(folder, "distill", shifts, {"method": method, "label_share": LABEL_SHARE})
    return key


def _check_teachers(runs: Sequence[Run]) -> None:
    """Build every teacher once; raise a MissingError now rather than after minutes of work on the others."""
    for run in runs:
        try:
            load_fold(run.folder / "fold_0")
        except ConfigError as error:
            raise MissingError(
                f"{run.model}/{run.id} was trained by an earlier version of {run.model} "
                f"and cannot be loaded: {error}",
                hint=f"{train_again(run.folder)}, or name other teachers",
            ) from error


def _train_targets(prepared: Prepared, runs: Sequence[Run], blend: Blend, fold: int) -> pl.DataFrame:
    """Return the fold's training clips, with targets between label and teachers."""
    rows = training_rows(prepared.clips, fold, prepared.config, seed=0)
    with progress.bar(f"teachers of fold {fold}", len(rows) * len(runs), "clips") as advance:
        logits = np.stack([predict_rows(prepared, run, rows, fold, advance) for run in runs])
    task = prepared.task
    taught = blend(probs_to_blend(logits, task))
    labels = label_targets(rows, task).numpy()[:, : len(task.classes)]
    targets = LABEL_SHARE * labels + (1 - LABEL_SHARE) * taught
    if task.multi:  # where labels say nothing, the teachers alone do
        targets = np.where(hidden_classes(rows, task)[:, : len(task.classes)], taught, targets)
    return soft_table(rows, targets, None, task)


def _test_targets(prepared: Prepared, runs: Sequence[Run], blend: Blend, fold: int) -> pl.DataFrame:
    """Return the clips without labels, with the teachers' probabilities."""
    task = prepared.task
    targets = blend(probs_to_blend(teachers_logits(prepared, runs, fold), task))
    likeliest = targets >= THRESHOLD if task.multi else task.one_hot(targets.argmax(1))
    labels, silence = labels_of(likeliest, task), prepared.config.labels.silence
    parts = ["silence" if label == silence else "keyword" for label in labels]
    rows = rows_without_labels(prepared.clips).with_columns(
        label=pl.Series(labels, dtype=pl.String), part=pl.Series(parts, dtype=pl.String)
    )
    allowed = pl.Series(may_teach(prepared.config, prepared.clips, fold), dtype=pl.Boolean)
    return soft_table(rows, targets, None, task).filter(allowed)
