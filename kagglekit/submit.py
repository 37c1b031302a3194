"""An ensemble, or a CSV made elsewhere -> a checked CSV, in the log. upload.py sends it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from kagglekit import submission
from kagglekit.config import Config
from kagglekit.ensemble.made import Ensemble
from kagglekit.errors import MissingError
from kagglekit.fetch import raw_archive
from kagglekit.ledger import Entry, Ledger, git_commit, host_name, stamp
from kagglekit.workspace import Workspace, key_of

NOT_SCORE = {"workspace", "submissions", "network"}  # no prediction depends on these sections


@dataclass(frozen=True)
class Written:
    """A CSV that may be sent."""

    path: Path
    frame: pl.DataFrame
    warnings: list[str]
    entry: Entry


def write(config: Config, workspace: Workspace, ensemble: Ensemble) -> Written:
    """Write the ensemble's labels as a submission, checked against the sample, and log it.

    Equal bytes are not written twice for one host: the earlier file is found by its hash.

    Raises:
        SubmissionError: ids, labels or columns are not the sample's, or one class is predicted throughout.
    """
    frame, warnings = draft(config, workspace, ensemble)
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
    path, entry = _keep(config, workspace, submission.to_csv(frame), models, made)
    return Written(path, frame, warnings, entry)


def draft(config: Config, workspace: Workspace, ensemble: Ensemble) -> tuple[pl.DataFrame, list[str]]:
    """The ensemble's labels as a submission, checked against the sample, and what is odd about it.

    Raises:
        SubmissionError: as `write`.
    """
    sample = _sample(config, workspace)
    frame = submission.build(sample, ensemble.predicted(config))
    return frame, submission.check(frame, sample, config.labels.classes)


def take(config: Config, workspace: Workspace, path: Path) -> Written:
    """Check a CSV made elsewhere as one of ours, keep a copy beside the log, and log it.

    Raises:
        MissingError: there is no such file.
        SubmissionError: as `write`; nothing is repaired, since the bytes are to stay as they are.
    """
    if not path.is_file():
        raise MissingError(f"there is no file {path}", hint="name a CSV: kagglekit submit --file FILE")
    data = path.read_bytes()
    frame = submission.parse(data, path.name, hint="--file takes a CSV as the host wants it, not packed")
    warnings = submission.check(frame, _sample(config, workspace), config.labels.classes)
    made: dict[str, Any] = {"models": [], "runs": [], "weights": []}
    kept, entry = _keep(config, workspace, data, [path.stem], made)
    return Written(kept, frame, warnings, entry)


def _sample(config: Config, workspace: Workspace) -> submission.Sample:
    archive = raw_archive(config, workspace, config.data.sample_submission)
    return submission.read_sample(archive, config.submission.id, submission.columns_of(config))


def _keep(
    config: Config, workspace: Workspace, data: bytes, names: list[str], made: dict[str, Any]
) -> tuple[Path, Entry]:
    """Write and log a CSV's bytes, unless that was done before.

    Args:
        config, workspace: the competition.
        data: the CSV, checked.
        names: for the file's name.
        made: fields of the log entry: what it was made of, and how good that is.
    """
    ledger, host = Ledger(workspace.ledger_path), host_name(config)
    digest = hashlib.sha256(data).hexdigest()
    known = ledger.find(digest, host)
    if known is not None and (workspace.submissions / known.csv).is_file():
        return workspace.submissions / known.csv, known
    now = datetime.now(UTC)
    path = workspace.submissions / submission.file_name(now, names, made.get("cv_score"))
    while path.exists():  # written within the same second
        path = path.with_stem(f"{path.stem}-2")
    submission.write(data, path)
    entry = Entry(
        time=stamp(now),
        csv=path.name,
        sha256=digest,
        git_commit=git_commit(),
        config_key=key_of(config.model_dump(mode="json", exclude=NOT_SCORE)),
        host=host,
        status="written",
        **made,
    )
    ledger.append(entry)
    return path, entry
