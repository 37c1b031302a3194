"""Distillation: one small student learns what a whole ensemble says (Hinton et al. 2015, arXiv:1503.02531).

Fold k's student learns from fold k's models alone, blended by what was fitted on the other folds: no teacher
has heard the speakers and words that the student is judged on, so its OOF is as honest as any run's. (The
models of the other folds have learnt from fold k's labels; their OOF answers to the student's training clips
would carry them over.) On its training clips the teachers are surer than on others, since they have learnt
from them; so the label has a part in the target, and the test clips, which no teacher has learnt from, join
with the teachers' probabilities alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kagglekit.config import Features, Train
from kagglekit.data.clips import training_rows
from kagglekit.data.prepare import Prepared
from kagglekit.distillation.facts import write_facts
from kagglekit.distillation.pseudo_labels import may_teach
from kagglekit.ensemble.blends import Blend, softmax_of
from kagglekit.ensemble.build import Library
from kagglekit.ensemble.methods import METHODS
from kagglekit.errors import ConfigError, MissingError
from kagglekit.files import tables
from kagglekit.files.atomic import building
from kagglekit.files.keys import key_of
from kagglekit.runs.store import Run, fold_logits, load_fold, read_meta, train_again
from kagglekit.runs.train import make_dataset
from kagglekit.terminal import progress
from kagglekit.training.plan import Plan
from kagglekit.training.predict import device, predict
from kagglekit.training.soft_targets import FIELDS, folder_of, table_path

VERSION = 1
LABEL_SHARE = 0.3  # of a training clip's target that is its label


def make(
    prepared: Prepared,
    runs: Sequence[Run],
    library: Library,
    method: str,
) -> str:
    """Let an ensemble predict what each fold's student learns from.

    Args:
        config, workspace, prepared: the competition.
        runs: the teachers, finished.
        library: their OOF predictions, as `ensemble.build.load` reads them.
        method: how they are blended.

    Returns:
        The teaching's key.

    Raises:
        MissingError: a teacher cannot be loaded any more.
    """
    _can_teach(runs)
    settings = prepared.config.ensemble.model_dump()
    identities = [run.id for run in runs]
    key = key_of(
        "distill", VERSION, prepared.key, identities, method, settings, prepared.config.labels.keep_fillers
    )
    with building(folder_of(prepared.workspace, key), key) as folder:
        if folder is None:
            return key
        for fold in range(prepared.config.validation.folds):
            blend = METHODS[method].fit(library.oof.of(library.oof.fold != fold), prepared.config.ensemble)
            taught = pl.concat(
                [
                    _training(prepared, runs, blend, fold),
                    _test(prepared, runs, library, blend, fold),
                ]
            )
            tables.write(taught, table_path(folder, fold))
        write_facts(folder, "distill", runs, {"method": method, "label_share": LABEL_SHARE})
    return key


def _can_teach(runs: Sequence[Run]) -> None:
    """Build every teacher once, before minutes are spent on the others.

    Raises:
        MissingError: it was trained by a kagglekit whose architecture was another.
    """
    for run in runs:
        try:
            load_fold(run.folder / "fold_0")
        except ConfigError as error:
            raise MissingError(
                f"{run.model}/{run.id} is of an earlier {run.model} and cannot be loaded: {error}",
                hint=f"{train_again(run.folder)}, or name other teachers",
            ) from error


def _training(prepared: Prepared, runs: Sequence[Run], blend: Blend, fold: int) -> pl.DataFrame:
    """The clips that the fold learns from, with targets between label and teachers."""
    rows = training_rows(prepared.clips, fold, prepared.config, seed=0)
    with progress.bar(f"teachers of fold {fold}", len(rows) * len(runs), "clips") as advance:
        logits = np.stack([_predict(prepared, run, rows, fold, advance) for run in runs])
    classes = np.array(prepared.config.labels.classes)
    label = (rows["label"].to_numpy()[:, None] == classes).astype(np.float64)
    targets = LABEL_SHARE * label + (1 - LABEL_SHARE) * blend(softmax_of(logits))
    return _table(rows.select("clip_id", "split", "row", "part", "label"), targets)


def _predict(
    prepared: Prepared,
    run: Run,
    rows: pl.DataFrame,
    fold: int,
    advance: progress.Advance,
) -> NDArray[np.float32]:
    """One run's logits of clips, by its model of one fold."""
    folder = run.folder / f"fold_{fold}"
    meta = read_meta(folder)
    train = Train(**meta["train"])
    plan = Plan(meta["model"], meta["params"], train, Features(**meta["features"]))
    dataset = make_dataset(prepared, plan)
    model, head, _ = load_fold(folder)
    return predict(model.to(device()), dataset, rows, head, train, advance)


def _test(prepared: Prepared, runs: Sequence[Run], library: Library, blend: Blend, fold: int) -> pl.DataFrame:
    """The test clips, with the teachers' probabilities."""
    targets = blend(softmax_of(np.stack([fold_logits(run.folder, fold) for run in runs])))
    labels = np.array(prepared.config.labels.classes)[targets.argmax(1)]
    rows = library.test_clips.join(
        prepared.clips.select("clip_id", "split", "row"), on="clip_id", maintain_order="left"
    ).with_columns(
        part=pl.Series(np.where(labels == prepared.config.labels.silence, "silence", "keyword")),
        label=pl.Series(labels),
    )
    allowed = may_teach(prepared.config, prepared.clips, library.test_clips, fold)
    return _table(rows, targets).filter(pl.Series(allowed))


def _table(rows: pl.DataFrame, targets: NDArray[Any]) -> pl.DataFrame:
    soft = pl.Series(targets.astype(np.float32), dtype=pl.Array(pl.Float32, targets.shape[1]))
    return rows.with_columns(targets=soft).select(FIELDS)
