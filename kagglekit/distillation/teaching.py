"""Which clips without labels may teach a fold's student, what its teachers say, and what it learns from."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kagglekit.config import Config, FromName
from kagglekit.config.data import FOLDER
from kagglekit.data.audit import SHA1_DIGITS
from kagglekit.data.clips import WINDOWS, WITHOUT_LABELS
from kagglekit.data.fields import field
from kagglekit.data.prepare import Prepared
from kagglekit.ensemble.members import fold_test_logits
from kagglekit.runs.setup import make_dataset
from kagglekit.runs.store import Run, load_fold, plan_of
from kagglekit.scoring.numerics import Floats
from kagglekit.scoring.task import Task
from kagglekit.terminal import progress
from kagglekit.training.predict import device, predict
from kagglekit.training.soft_targets import FIELDS

Mask = NDArray[np.bool_]


def rows_without_labels(clips: pl.DataFrame) -> pl.DataFrame:
    """Return the rows that teachers label: the test's, in the order of every ensemble's test predictions, and
    those of data.unlabelled."""
    return pl.concat([clips.filter(pl.col("split") == split).sort("clip_id") for split in WITHOUT_LABELS])


def teachers_logits(prepared: Prepared, runs: Sequence[Run], fold: int) -> Floats:
    """Return the logits of `rows_without_labels` by every run's model of one fold: (runs, rows, classes)."""
    rows = prepared.clips.filter(pl.col("split") == "unlabelled").sort("clip_id")
    tested = fold_test_logits(runs, fold)
    if not len(rows):
        return tested
    with progress.bar(f"teachers of fold {fold}", len(rows) * len(runs), "clips") as advance:
        logits = [predict_rows(prepared, run, rows, fold, advance) for run in runs]
    return np.concatenate([tested, np.stack(logits)], axis=1)


def predict_rows(
    prepared: Prepared, run: Run, rows: pl.DataFrame, fold: int, advance: progress.Advance
) -> Floats:
    """Compute logits of rows of the clips table by a run's model of one fold: (rows, classes)."""
    model, head, meta = load_fold(run.folder / f"fold_{fold}")
    plan = plan_of(meta)
    unlabelled = "unlabelled" in rows["split"]
    dataset = make_dataset(prepared, plan, unlabelled=unlabelled)
    return predict(model.to(device()), dataset, rows, head, plan.train, advance)


def may_teach(config: Config, clips: pl.DataFrame, fold: int) -> Mask:
    """Return which of `rows_without_labels` may teach the student that is judged on a fold, (rows,).

    Not those of a recording that is also a training recording of the fold, nor copies of any training
    recording, nor those whose path names a group of the fold, as any of the training sets reads groups.
    """
    labelled, digest = clips.filter(pl.col("split") == "train"), pl.col("sha1").str.head(SHA1_DIGITS)
    copies = set(labelled.select(digest).to_series().drop_nulls())
    judged = labelled.filter(pl.col("fold") == fold)
    groups, recordings = set(judged["speaker"].drop_nulls()), set(judged["path"])
    specs = {
        train.group
        for train in config.data.train
        if isinstance(train.group, FromName) or train.group == FOLDER
    }
    named = {
        path: any(field(spec, path) in groups for spec in specs)
        for path in clips.filter(pl.col("split").is_in(WITHOUT_LABELS))["path"].unique()
    }
    rows = rows_without_labels(clips).select("path", digest).rows()
    allowed = [path not in recordings and sha1 not in copies and not named[path] for path, sha1 in rows]
    return np.array(allowed, bool)


def soft_table(rows: pl.DataFrame, targets: Floats, hidden: Mask | None, task: Task) -> pl.DataFrame:
    """Return the table of a fold's soft targets.

    Args:
        rows: rows of the clips table, with part and label.
        targets: (rows, classes).
        hidden: (rows, classes), pairs of a row and a class without a loss; None: there are none.
    """
    soft = pl.Series(targets.astype(np.float32), dtype=pl.Array(pl.Float32, targets.shape[1]))
    masked = [""] * len(rows) if hidden is None else labels_of(hidden, task)
    columns = [*FIELDS, *([WINDOWS] if WINDOWS in rows.columns else [])]
    return rows.with_columns(masked=pl.Series(masked, dtype=pl.String), targets=soft).select(columns)


def labels_of(chosen: Mask, task: Task) -> list[str]:
    """Return the names of each row's chosen classes (rows, classes), as the clips table writes them."""
    names, joiner = np.array(task.classes, dtype=object), task.separator or "|"
    return [joiner.join(names[row]) for row in chosen]
