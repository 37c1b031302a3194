"""Blended runs: the result of an ensemble, stored in a folder and found again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kagglekit.data.prepare import Prepared
from kagglekit.ensemble import smoothing
from kagglekit.ensemble.nested_cv import Comparison, NestedResult
from kagglekit.ensemble.set_decisions import describe
from kagglekit.errors import MissingError
from kagglekit.files.atomic import read_json, write_json
from kagglekit.files.json_shape import shaped
from kagglekit.files.keys import key_of
from kagglekit.files.locks import locked
from kagglekit.files.workspace import Workspace, folder_name
from kagglekit.runs.score import score_key
from kagglekit.runs.store import Run
from kagglekit.scoring.cv import Score
from kagglekit.scoring.predictions import logits_of, read_predictions, write_predictions
from kagglekit.scoring.task import Task
from kagglekit.training.files import OOF, TEST

WEIGHTS = "weights.json"
MAX_NAME = 60  # characters of a folder's name
VERSION = 4  # raise it when the same runs give another blend


@dataclass(frozen=True)
class BlendedRuns:
    """Runs blended by a method, with a decision, and their score."""

    runs: tuple[Run, ...]
    weights: tuple[float, ...]
    """Weight of each run; they sum to 1."""
    method: str
    smoothing: str
    joined: Mapping[str, Any]
    """What the smoothing was fitted to: weights and power; may be empty."""
    decision: str
    rule: Mapping[str, Any]
    """What the decision was fitted to: metric, and thresholds or the number of classes; may be empty."""
    comparisons: tuple[Comparison, ...]
    """Of methods and, where several fit, smoothings and decisions; a requested one is compared with the
    baseline."""
    score: Score
    """Of OOF predictions by nested cross-validation."""
    folder: Path
    test: pl.DataFrame
    """clip_id and logits of every test clip; the folder may meanwhile hold those of another process."""

    @property
    def name(self) -> str:
        """The members' models: `gru+2xtcresnet`."""
        return self.folder.name

    @property
    def choice(self) -> str:
        """All choices for people: `mean, decision threshold: from probability 0.31, ...`."""
        joined, rule = smoothing.describe(self.joined), describe(self.rule)
        smoothed = f", smoothing {self.smoothing}: {joined}" if joined else ""
        return f"{self.method}{smoothed}, decision {self.decision}{': ' * bool(rule)}{rule}"

    def probs(self, task: Task) -> NDArray[np.float64]:
        """Return the probabilities of every test clip, (clips, classes)."""
        return task.probs(logits_of(self.test))

    def record(self, key: str, scored_by: str) -> dict[str, Any]:
        """Return what weights.json holds: identity, members, choices, comparisons and score."""
        members = [
            {"model": run.model, "run": run.id, "weight": weight, "cv": run.score.cv}
            for run, weight in zip(self.runs, self.weights, strict=True)
        ]
        comparisons = [one.as_dict() for one in self.comparisons]
        choices = {
            **{"method": self.method, "smoothing": self.smoothing, "joined": dict(self.joined)},
            **{"decision": self.decision, "rule": dict(self.rule)},
        }
        keys = {"key": key, "score_key": scored_by}
        return {**keys, "members": members, **choices, "comparisons": comparisons, **self.score.as_dict()}


def identity(prepared: Prepared, runs: Sequence[Run], method: str | None, decision: str | None) -> str:
    """Return a key of everything that shapes a blend, down to the files of its members."""
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


def folder_of(workspace: Workspace, runs: Sequence[Run]) -> Path:
    """Return the folder of a blend of runs, with a name short enough for a file system."""
    models = [run.model for run in runs]
    counted = [f"{models.count(m)}x{m}" if models.count(m) > 1 else m for m in dict.fromkeys(models)]
    name = "+".join(counted)
    short = name if len(name) <= MAX_NAME else f"{len(runs)}-runs-{key_of([run.id for run in runs])}"
    return workspace.ensembles / folder_name(short)


def read_record(path: Path) -> Any:
    """Read weights.json of a blend.

    Raises:
        OSError, ValueError: it is absent or damaged.
    """
    return shaped(dict[str, Any], read_json(path, bound=True))


def read_blend(workspace: Workspace, runs: Sequence[Run], key: str) -> BlendedRuns | None:
    """Return the stored blend of this identity; None if its folder holds another one or a damaged one.

    No lock is needed, so that a read-only folder can be read: `write_blend` removes the record first.
    """
    folder = folder_of(workspace, runs)
    try:
        record = read_record(folder / WEIGHTS)
        if record.get("key") != key:
            return None
        comparisons = tuple(_comparison(one) for one in record["comparisons"])
        weights = shaped(tuple[float, ...], [member["weight"] for member in record["members"]])
        choices = (
            *(str(record["method"]), str(record["smoothing"]), shaped(dict[str, Any], record["joined"])),
            *(str(record["decision"]), shaped(dict[str, Any], record["rule"])),
        )
        score = shaped(Score, {name: record[name] for name in Score._fields})
        test = read_predictions(folder / TEST, "")
        if read_record(folder / WEIGHTS) != record:  # another process has written it meanwhile
            return None
    except (OSError, ValueError, LookupError, TypeError, MissingError):
        return None
    return BlendedRuns(tuple(runs), weights, *choices, comparisons, score, folder, test)


def _comparison(record: dict[str, Any]) -> Comparison:
    """Return what `Comparison.as_dict` has written."""
    results = shaped(tuple[NestedResult, ...], record["results"])
    names = ("what", "baseline", "chosen", "why")
    what, baseline, chosen, why = (shaped(str, record[name]) for name in names)
    return Comparison(what, results, baseline, chosen, why)


def write_blend(blended: BlendedRuns, oof: pl.DataFrame, key: str, scored_by: str) -> None:
    """Write a blend's folder: prediction tables first, weights.json last, which marks it as complete.

    Args:
        key: `identity`.
        scored_by: `score_key`; a score of another metric is compared with none of this one.
    """
    folder = blended.folder
    with locked(folder, folder.name):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / WEIGHTS).unlink(missing_ok=True)
        write_predictions(oof, folder / OOF)
        write_predictions(blended.test, folder / TEST)
        write_json(folder / WEIGHTS, blended.record(key, scored_by), bound=True)
