"""What an ensemble is, and what its members predicted: read, checked, and kept once blended."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kagglekit.config import Config
from kagglekit.data.prepare import Prepared
from kagglekit.ensemble.blends import Blend
from kagglekit.ensemble.nested_cv import Judged, Table
from kagglekit.errors import KagglekitError
from kagglekit.files import tables
from kagglekit.files.atomic import write_json
from kagglekit.files.keys import key_of
from kagglekit.files.locks import locked
from kagglekit.files.workspace import Workspace
from kagglekit.runs.store import TEST, Run, logits_of, rows_of, score_key, train_again
from kagglekit.scoring.cv import Score
from kagglekit.scoring.numerics import sigmoid
from kagglekit.training.loop import OOF
from kagglekit.training.predict import predictions

WEIGHTS = "weights.json"
MAX_NAME = 60  # characters of a folder's name
VERSION = 2  # raise it when the same runs make another ensemble
TOLD = ("name", "accuracy", "low", "high", "gain", "error")
"""Of what was judged, all but the predictions."""


@dataclass(frozen=True)
class Ensemble:
    """Blended runs."""

    name: str
    runs: tuple[Run, ...]
    weights: tuple[float, ...]
    """Each run's part in the blend; they add up to 1."""
    method: str
    decision: str
    tables: tuple[Table, ...]
    """What was judged on the way: methods, then decisions; those that were named are judged alone."""
    by_part: tuple[dict[str, dict[str, float]], ...]
    """For each of `tables`: accuracy by name and part of the clips."""
    score: Score
    """Of OOF predictions by what was chosen and fitted on the other folds."""
    folder: Path
    test: pl.DataFrame
    """clip_id and logits of every test clip: the folder's may by now be another process's."""

    def predicted(self, config: Config) -> pl.DataFrame:
        """clip_id and what is submitted of every test clip: its label, or the probability of each class."""
        clips, logits, classes = self.test.select("clip_id"), logits_of(self.test), config.labels.classes
        if config.separator is not None:
            return clips.with_columns(pl.DataFrame(sigmoid(logits), schema=list(classes)))
        labels = pl.Series(config.submission.label, np.asarray(classes)[logits.argmax(1)], pl.String)
        return clips.with_columns(labels)


class Members(NamedTuple):
    """What some runs predicted, in one order."""

    logits: NDArray[np.float32]
    """(runs, clips, classes), of OOF."""
    clips: pl.DataFrame
    """Rows of the clips table, one for each OOF clip."""
    test_clips: pl.DataFrame
    """clip_id of each test clip."""


def read_members(prepared: Prepared, runs: Sequence[Run]) -> Members:
    """The predictions of runs, in the order given.

    Raises:
        KagglekitError: runs with other clips, folds or classes, or with logits that are not finite.
    """
    _check(prepared, runs)
    oof = [tables.read(run.folder / OOF, train_again(run.folder)).sort("clip_id") for run in runs]
    test = [tables.read(run.folder / TEST, train_again(run.folder)).sort("clip_id") for run in runs]
    _same_clips(runs, oof, prepared.clips.filter(pl.col("fold") >= 0), "OOF")
    _same_clips(runs, test, prepared.clips.filter(pl.col("split") == "test"), "test")
    logits = np.stack([logits_of(table) for table in oof])
    return Members(logits, rows_of(oof[0], prepared.clips), test[0].select("clip_id"))


def identity(prepared: Prepared, runs: Sequence[Run], method: str | None, decision: str | None) -> str:
    """Changes with everything that shapes an ensemble, down to the files of its members."""
    files = [path for run in runs for path in (run.folder / OOF, *sorted(run.folder.rglob(TEST)))]
    stats = [(stat.st_size, stat.st_mtime_ns) for stat in (path.stat() for path in files if path.is_file())]
    return key_of(
        VERSION,
        prepared.key,
        [(run.model, run.id) for run in runs],
        stats,
        score_key(prepared.config),
        prepared.config.ensemble.model_dump(),
        prepared.config.labels.model_dump(),
        [method, decision],
    )


def found(workspace: Workspace, runs: Sequence[Run], key: str) -> Ensemble | None:
    """The ensemble of this identity, where it is the one that its folder still holds."""
    name = _name(runs)
    folder = workspace.ensembles / name
    with locked(folder, name):
        try:
            record = json.loads((folder / WEIGHTS).read_text(encoding="utf-8"))
            if record.get("key") != key:
                return None
            judged = [
                Table(tuple(Judged(**one, honest=np.empty(0)) for one in table.pop("judged")), **table)
                for table in record["tables"]
            ]
            score = {field: record[field] for field in Score._fields}
            test = pl.read_parquet(folder / TEST)
        except (OSError, ValueError, LookupError, TypeError, pl.exceptions.PolarsError):
            return None  # it is made again
    return Ensemble(
        name,
        tuple(runs),
        tuple(member["weight"] for member in record["members"]),
        record["method"],
        record["decision"],
        tuple(judged),
        tuple(record["by_part"]),
        Score(**score | {"constant": tuple(score["constant"])}),
        folder,
        test,
    )


def keep(
    workspace: Workspace,
    runs: Sequence[Run],
    clips: pl.DataFrame,
    test_clips: pl.DataFrame,
    blended: NDArray[np.floating[Any]],
    test: NDArray[np.floating[Any]],
    record: dict[str, Any],
) -> tuple[str, Path, pl.DataFrame]:
    """Write an ensemble's folder: its name, its place, and the table of test logits.

    Args:
        workspace, runs: of what it is made.
        clips, test_clips: of OOF, and of the test.
        blended, test: logits (clips, classes) of OOF and of the test clips.
        record: what weights.json holds.
    """
    name = _name(runs)
    folder, table = workspace.ensembles / name, predictions(test_clips, test.astype(np.float32))
    with locked(folder, name):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / WEIGHTS).unlink(missing_ok=True)  # the marker of what the tables are
        tables.write(predictions(clips, blended.astype(np.float32)), folder / OOF)
        tables.write(table, folder / TEST)
        write_json(folder / WEIGHTS, record)
    return name, folder, table


def record_of(
    key: str,
    runs: Sequence[Run],
    blend: Blend,
    judged: Sequence[Table],
    by_part: Sequence[dict[str, dict[str, float]]],
    chosen: tuple[str, str],
    result: Score,
) -> dict[str, Any]:
    """What weights.json says: the identity, the members, what was judged and chosen, and the score."""
    members = [
        {"model": run.model, "run": run.id, "weight": float(w), "cv": run.score.cv}
        for run, w in zip(runs, blend.weights, strict=True)
    ]
    shown = [
        {
            **table._asdict(),
            "judged": [{name: getattr(one, name) for name in TOLD} for one in table.judged],
        }
        for table in judged
    ]
    told = {"method": chosen[0], "decision": chosen[1], "tables": shown, "by_part": list(by_part)}
    return {"key": key, "members": members, **told, **result.as_dict()}


def _name(runs: Sequence[Run]) -> str:
    """`gru+2xtcresnet`, short enough for a file system."""
    models = [run.model for run in runs]
    counted = [f"{models.count(m)}x{m}" if models.count(m) > 1 else m for m in dict.fromkeys(models)]
    name = "+".join(counted)
    return name if len(name) <= MAX_NAME else f"{len(runs)}-runs-{key_of([run.id for run in runs])}"


def _check(prepared: Prepared, runs: Sequence[Run]) -> None:
    for run in runs:
        if run.metrics["clips_key"] != prepared.key:
            raise KagglekitError(
                f"run {run.model}/{run.id} was trained on other clips or folds than the present ones",
                hint=f"train it on these: kagglekit train --model {run.model}",
            )
        if run.metrics["classes"] != list(prepared.config.labels.classes):
            raise KagglekitError(
                f"run {run.model}/{run.id} knows the classes {', '.join(run.metrics['classes'])}",
                hint=f"train it on those of competition.yaml: kagglekit train --model {run.model}",
            )


def _same_clips(
    runs: Sequence[Run], predicted: Sequence[pl.DataFrame], clips: pl.DataFrame, what: str
) -> None:
    expected = clips["clip_id"].sort()
    for run, table in zip(runs, predicted, strict=True):
        if not table["clip_id"].equals(expected):
            raise KagglekitError(
                f"{what} predictions of {run.model}/{run.id} are of {len(table):,} clips, "
                f"not of the {len(expected):,} there are",
                hint=f"remove {run.folder} and train it again: kagglekit train --model {run.model}",
            )
        if not np.isfinite(logits_of(table)).all():
            raise KagglekitError(
                f"{what} predictions of {run.model}/{run.id} hold NaN or infinity",
                hint=f"remove {run.folder} and train it again with a lower train.lr",
            )
