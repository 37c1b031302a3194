"""An ensemble, or a CSV made elsewhere -> a checked CSV, in the log. upload.py sends it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from kagglekit.ensemble.blend import Ensemble
from kagglekit.errors import MissingError
from kagglekit.files.atomic import write_bytes
from kagglekit.files.keys import key_of
from kagglekit.files.raw import raw_archive
from kagglekit.files.sample import Sample, parse, read_sample
from kagglekit.files.workspace import Workspace
from kagglekit.scoring.task import Task
from kagglekit.submission import shapes
from kagglekit.submission.ledger import Entry, Ledger, git_commit, host_name, stamp

NOT_SCORE = {"workspace", "submissions", "network"}  # no prediction depends on these sections


@dataclass(frozen=True)
class Written:
    """A CSV that may be sent."""

    path: Path
    frame: pl.DataFrame
    warnings: list[str]
    entry: Entry


def write(workspace: Workspace, ensemble: Ensemble) -> Written:
    """Write the ensemble's labels as a submission, checked against the sample, and log it.

    Equal bytes are not written twice for one host: the earlier file is found by its hash.

    Raises:
        SubmissionError: ids, labels or columns are not the sample's, or one class is predicted throughout.
    """
    frame, warnings = draft(workspace, ensemble)
    models = [run.model for run in ensemble.runs]
    made = {
        "models": models,
        "runs": [run.id for run in ensemble.runs],
        "weights": [round(w, 6) for w in ensemble.weights],
        "method": ensemble.method,
        "decision": ensemble.decision,
        "cv_score": ensemble.score.cv,
        "cv_low": ensemble.score.low,
        "cv_high": ensemble.score.high,
        "plain": ensemble.score.plain,
    }
    path, entry = _keep(workspace, shapes.to_csv(frame), models, made)
    return Written(path, frame, warnings, entry)


def draft(workspace: Workspace, ensemble: Ensemble) -> tuple[pl.DataFrame, list[str]]:
    """The ensemble's labels as a submission, checked against the sample, and what is odd about it.

    Raises:
        SubmissionError: as `write`.
    """
    sample = _sample(workspace)
    frame = shapes.build(sample, ensemble.predicted(workspace.config))
    return frame, shapes.check(frame, sample, workspace.config.labels.classes)


def take(workspace: Workspace, path: Path) -> Written:
    """Check a CSV made elsewhere as one of ours, keep a copy beside the log, and log it.

    Raises:
        MissingError: there is no such file.
        SubmissionError: as `write`; nothing is repaired, since the bytes are to stay as they are.
    """
    if not path.is_file():
        raise MissingError(f"there is no file {path}", hint="name a CSV: kagglekit submit --file FILE")
    data = path.read_bytes()
    frame = parse(data, path.name, hint="--file takes a CSV as the host wants it, not packed")
    warnings = shapes.check(frame, _sample(workspace), workspace.config.labels.classes)
    made: dict[str, Any] = {"models": [], "runs": [], "weights": []}
    kept, entry = _keep(workspace, data, [path.stem], made)
    return Written(kept, frame, warnings, entry)


def _sample(workspace: Workspace) -> Sample:
    archive = raw_archive(workspace, workspace.config.data.sample_submission)
    return read_sample(archive, workspace.config.submission.id, Task.of(workspace.config).columns)


def _keep(workspace: Workspace, data: bytes, names: list[str], made: dict[str, Any]) -> tuple[Path, Entry]:
    """Write and log a CSV's bytes, unless that was done before.

    Args:
        config, workspace: the competition.
        data: the CSV, checked.
        names: for the file's name.
        made: fields of the log entry: what it was made of, and how good that is.
    """
    ledger, host = Ledger(workspace.ledger_path), host_name(workspace.config)
    digest = hashlib.sha256(data).hexdigest()
    known = ledger.find(digest, host)
    if known is not None and (workspace.submissions / known.csv).is_file():
        return workspace.submissions / known.csv, known
    now = datetime.now(UTC)
    path = workspace.submissions / shapes.file_name(now, names, made.get("cv_score"))
    while path.exists():  # written within the same second
        path = path.with_stem(f"{path.stem}-2")
    write_bytes(path, data)
    entry = Entry(
        time=stamp(now),
        csv=path.name,
        sha256=digest,
        git_commit=git_commit(),
        config_key=key_of(workspace.config.model_dump(mode="json", exclude=NOT_SCORE)),
        host=host,
        status="written",
        **made,
    )
    ledger.append(entry)
    return path, entry
