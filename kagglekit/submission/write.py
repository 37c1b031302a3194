"""Write an ensemble's predictions as a checked CSV and log it; or import an existing CSV."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import polars as pl

from kagglekit.config import Config
from kagglekit.data.expected_rows import expected, sample_table
from kagglekit.ensemble.rules import describe
from kagglekit.errors import MissingError, SubmissionError
from kagglekit.files import parquet
from kagglekit.files.atomic import move_into_place, write_bytes
from kagglekit.files.keys import key_of
from kagglekit.files.tables import read_table_file, say
from kagglekit.files.workspace import Workspace
from kagglekit.scoring.metrics import make_metric
from kagglekit.scoring.shapes import Shape
from kagglekit.scoring.task import Task
from kagglekit.submission.check import check, in_order_of
from kagglekit.submission.ledger import Entry, Ledger, git_commit, host_name, stamp
from kagglekit.submission.table import build, file_name, to_csv
from kagglekit.terminal import console

if TYPE_CHECKING:  # it imports torch, which `submit --file` does not need
    from kagglekit.ensemble.blend import BlendedRuns

SCORES = ("metric", "cv_score", "cv_low", "cv_high", "plain")  # fields of an entry
NOT_SCORE = {"workspace", "submissions", "network"}  # sections that no prediction depends on


@dataclass(frozen=True)
class SubmissionFile:
    """A checked CSV, ready to be sent."""

    path: Path
    frame: pl.DataFrame
    warnings: list[str]
    entry: Entry


def write(workspace: Workspace, ensemble: BlendedRuns) -> SubmissionFile:
    """Write the ensemble's predictions as a submission, checked against the sample, and log it.

    Equal bytes for the same host are not written again: the earlier file is returned.

    Raises:
        SubmissionError: ids, labels or columns do not match the sample, or all rows have the same label.
    """
    frame, warnings = draft(workspace, ensemble)
    facts = facts_of(workspace, ensemble)
    path, entry = _save(workspace, to_csv(frame), facts["models"], facts)
    return SubmissionFile(path, frame, warnings, entry)


def facts_of(workspace: Workspace, ensemble: BlendedRuns) -> dict[str, Any]:
    """Return what the log keeps of a blend: fields of an entry, JSON-serialisable."""
    models = [run.model for run in ensemble.runs]
    competition, kind = workspace.config.competition, workspace.config.labels.kind
    return {
        "models": models,
        "runs": [run.id for run in ensemble.runs],
        "weights": [round(w, 6) for w in ensemble.weights],
        "method": ensemble.method,
        "decision": ensemble.decision,
        "rule": describe(ensemble.joined, ensemble.rule),
        "external": workspace.config.data.external,
        "metric": make_metric(competition.metric, kind, competition.metric_parameters).title,
        "cv_score": ensemble.score.cv,
        "cv_low": ensemble.score.low,
        "cv_high": ensemble.score.high,
        "plain": ensemble.score.plain,
    }


def draft(workspace: Workspace, ensemble: BlendedRuns) -> tuple[pl.DataFrame, list[str]]:
    """Return the ensemble's predictions as a checked submission, with warnings.

    Raises:
        SubmissionError: see `write`.
    """
    workspace = workspace.resolved()
    config, clip_ids = workspace.config, ensemble.test["clip_id"].to_list()
    if not clip_ids:
        raise _hidden("there is nothing to predict", config)
    sample, shape = expected(workspace, clip_ids), Shape.of(config)
    predicted = shape.predicted(clip_ids, ensemble.probs(Task.of(config)), sample.columns)
    frame = build(sample, predicted)
    return frame, check(frame, sample, shape.classes, config.submission)


def without_test(workspace: Workspace) -> pl.DataFrame:
    """Return what a notebook writes while the host hides the test from it: the sample, or the header alone.

    Raises:
        KagglekitError: the sample cannot be read.
    """
    workspace = workspace.resolved()
    if (table := sample_table(workspace)) is not None:
        return table.frame
    sample = expected(workspace, [])
    names = (sample.id_column, sample.class_column, *sample.columns)
    return pl.DataFrame(schema={name: pl.String for name in names if name is not None})


def import_csv(workspace: Workspace, path: Path) -> SubmissionFile:
    """Check an existing table, keep a copy beside the log, and log it.

    The copy has the file's bytes where they are a plain CSV. Otherwise, as with semicolons, another coding
    or a zip, a note says so, and the copy is the same rows as the host takes them.

    Raises:
        MissingError: there is no such file.
        TableError: it is not a table.
        SubmissionError: see `write`; ids, labels and order are not repaired.
    """
    if not path.is_file():
        raise MissingError(f"there is no file {path}", hint="name a CSV: kagglekit submit --file FILE")
    table = read_table_file(path, hint="--file takes a CSV in the host's format")
    frame = table.frame
    workspace = workspace.resolved()
    config = workspace.config
    sample = expected(workspace, _test_ids(workspace))
    if not sample.ids:
        raise _hidden(f"the rows of {path.name} cannot be checked", config)
    if config.data.sample is None or config.competition.delivery == "notebook":  # any order will do
        sample = in_order_of(frame, sample)
    warnings = check(frame, sample, config.labels.all_classes, config.submission)
    say(f"{path.name}, written anew as a plain CSV", table)
    data = to_csv(frame) if table.notes else path.read_bytes()
    facts: dict[str, Any] = {"models": [], "runs": [], "weights": []}
    copy, entry = _save(workspace, data, [path.stem], facts)
    return SubmissionFile(copy, frame, warnings, entry)


def _hidden(what: str, config: Config) -> SubmissionError:
    """Build the error for a test that only the host's notebook sees."""
    return SubmissionError(
        f"{what}: no test recordings match {config.data.test.files}",
        hint="the host shows them to a notebook alone: kagglekit notebook rehearse",
    )


def check_unchanged(submission: SubmissionFile) -> None:
    """Raise SubmissionError where a CSV no longer has the bytes that were written, as the log knows them."""
    path = submission.path
    if not path.is_file() or _sha256(path.read_bytes()) != submission.entry.sha256:
        raise SubmissionError(
            f"{path.name} is no longer what kagglekit wrote: it was edited or damaged",
            hint=f"kagglekit submit --file {quote(str(path))} sends it as it is; the same command again "
            "without --file writes it anew",
        )


def _as_logged(path: Path, data: bytes) -> Path:
    """Write a CSV again that was edited or damaged, and keep that one under another name."""
    if path.read_bytes() != data:
        number = 1
        while (changed := path.with_stem(f"{path.stem}-changed-{number}")).exists():
            number += 1
        move_into_place(path, changed)
        write_bytes(path, data)
        console.note(
            f"{path.name} was edited or damaged: written again, and the other kept as {changed.name} "
            f"(kagglekit submit --file {quote(str(changed))} sends that one)"
        )
    return path


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _test_ids(workspace: Workspace) -> list[str]:
    """Return the ids of the test's clips, once they are prepared; else those of the sample."""
    if workspace.clips_path.is_file():
        clips = parquet.read_cache(workspace.clips_path).filter(pl.col("split") == "test")
        return clips["clip_id"].to_list()
    table = sample_table(workspace)
    return [] if table is None else table.frame[workspace.config.submission.id].to_list()


def _save(workspace: Workspace, data: bytes, names: list[str], facts: dict[str, Any]) -> tuple[Path, Entry]:
    """Write and log a CSV, unless the log has these bytes for this host; `facts` are fields of the entry.

    Where the log has them unsent, with a score by another metric, the score by the present one is logged.
    """
    ledger, host = Ledger(workspace.ledger_path), host_name(workspace.config)
    digest = _sha256(data)
    earlier = ledger.find(digest, host)
    if earlier is not None and (workspace.submissions / earlier.csv).is_file():
        other = facts.get("metric", earlier.metric) != earlier.metric and earlier.metric
        if other and earlier.status == "written":  # what was sent keeps the score that it was sent with
            earlier = replace(earlier, **{name: facts[name] for name in SCORES})
            ledger.append(earlier)
        return _as_logged(workspace.submissions / earlier.csv, data), earlier
    now = datetime.now(UTC)
    path = workspace.submissions / file_name(now, names, facts.get("cv_score"))
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
        **facts,
    )
    ledger.append(entry)
    return path, entry
