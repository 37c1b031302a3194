"""Read the predictions of the runs of an ensemble, and check that they belong together."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from kagglekit.data.prepare import Prepared
from kagglekit.ensemble.fitted import ood_of, probs_to_blend
from kagglekit.errors import KagglekitError, listed
from kagglekit.runs.store import Run, finite_logits, fold_logits, train_again
from kagglekit.scoring.cv import clip_weights
from kagglekit.scoring.numerics import Floats
from kagglekit.scoring.oof import Ints, Oof, recordings_of
from kagglekit.scoring.predictions import read_predictions
from kagglekit.scoring.task import Task
from kagglekit.training.files import OOF, TEST


def oof_clips(prepared: Prepared) -> pl.DataFrame:
    """Return the rows of the clips table in the order of every ensemble's OOF predictions."""
    return prepared.clips.filter(pl.col("fold") >= 0).sort("clip_id")


def test_clips(prepared: Prepared) -> pl.DataFrame:
    """Return clip_id of every test clip, in the order of every ensemble's test predictions."""
    return prepared.clips.filter(pl.col("split") == "test").select("clip_id").sort("clip_id")


def test_recordings(prepared: Prepared) -> tuple[Ints, Floats] | tuple[None, None]:
    """Return the recording and the place of every test clip, in the order of `test_clips`."""
    return recordings_of(prepared.clips.filter(pl.col("split") == "test").sort("clip_id"))


def read_oof(prepared: Prepared, runs: Sequence[Run]) -> Oof:
    """Read the OOF predictions of runs, in the order given; the clips are those of `oof_clips`.

    Raises:
        KagglekitError: runs with other clips, folds or classes, or with logits that are not finite.
    """
    for run in runs:
        _check_run(prepared, run)
    clips, task = oof_clips(prepared), prepared.task
    logits = np.stack([_read(run, OOF, "OOF", clips["clip_id"], task) for run in runs])
    for run in runs:
        _read(run, TEST, "test", test_clips(prepared)["clip_id"], task)
    weight = clip_weights(clips, prepared.config)
    return Oof.from_clips(clips, probs_to_blend(logits, task), task, weight, ood_of(logits, task))


def fold_test_logits(runs: Sequence[Run], fold: int) -> Floats:
    """Read the test logits of every run's model of one fold: (runs, clips, classes)."""
    return np.stack([fold_logits(run.folder, fold) for run in runs])


def _check_run(prepared: Prepared, run: Run) -> None:
    if run.metrics["clips_key"] != prepared.key:
        raise KagglekitError(
            f"run {run.model}/{run.id} was trained on other clips or folds than the present ones",
            hint=f"train it on these: kagglekit train --model {run.model}",
        )
    if run.metrics["classes"] != list(prepared.task.classes):
        raise KagglekitError(
            f"run {run.model}/{run.id} predicts the classes {listed(run.metrics['classes'])}",
            hint=f"train it on those of competition.yaml: kagglekit train --model {run.model}",
        )


def _read(run: Run, name: str, kind: str, expected: pl.Series, task: Task) -> Floats:
    """Read a run's logits (clips, classes), and check that they are finite and of the expected clips."""
    table = read_predictions(run.folder / name, train_again(run.folder), len(task.classes)).sort("clip_id")
    if not table["clip_id"].equals(expected):
        raise KagglekitError(
            f"{kind} predictions of {run.model}/{run.id} do not match the clips table: "
            f"{len(table):,} rows for {len(expected):,} clips",
            hint=f"remove {run.folder} and train it again: kagglekit train --model {run.model}",
        )
    hint = f"remove {run.folder} and train it again with a lower train.lr"
    return finite_logits(table, f"{kind} predictions of {run.model}/{run.id}", hint)
