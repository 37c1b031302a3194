"""An ensemble -> a checked CSV -> the host -> a score, each step in the leaderboard log."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from kagglekit import console, submission
from kagglekit.config import Config
from kagglekit.ensemble.build import Ensemble
from kagglekit.errors import SubmissionError
from kagglekit.fetch import raw_archive
from kagglekit.hosts.base import Host, SubmissionState
from kagglekit.ledger import Entry, Ledger, git_commit, host_name
from kagglekit.workspace import Workspace, key_of

FIRST_WAIT, LONGEST_WAIT, GIVE_UP = 0.5, 15.0, 1800.0  # seconds
CLOCK_ERROR = timedelta(minutes=10)  # that this machine's clock may be ahead of the host's


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
    columns = config.submission
    sample = submission.read_sample(
        raw_archive(config, workspace, config.data.sample_submission), columns.id, columns.label
    )
    frame = submission.build(sample, ensemble.predicted(config.labels.classes))
    warnings = submission.check(frame, sample, config.labels.classes)
    now = datetime.now(UTC)
    models = [run.model for run in ensemble.runs]
    path = workspace.submissions / submission.file_name(now, models, ensemble.score.cv)
    while path.exists():  # written within the same second
        path = path.with_stem(f"{path.stem}-2")
    digest = submission.write(frame, path)
    ledger = Ledger(workspace.ledger_path)
    host = host_name(config)
    known = ledger.find(digest, host)
    if known is not None and (workspace.submissions / known.csv).is_file():
        path.unlink()
        return Written(workspace.submissions / known.csv, frame, warnings, known)
    entry = Entry(
        time=now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        csv=path.name,
        sha256=digest,
        models=models,
        runs=[run.id for run in ensemble.runs],
        weights=[round(w, 6) for w in ensemble.weights],
        cv_score=ensemble.score.cv,
        cv_low=ensemble.score.low,
        cv_high=ensemble.score.high,
        plain=ensemble.score.plain,
        git_commit=git_commit(),
        config_key=key_of(config.model_dump(mode="json", exclude={"workspace", "submissions"})),
        host=host,
        status="written",
    )
    ledger.append(entry)
    return Written(path, frame, warnings, entry)


def refuse_twice(written: Written, *, force: bool) -> None:
    """Raise SubmissionError where these bytes were sent before; an upload that failed may be sent again."""
    entry = written.entry
    if entry.status in ("written", "sending", "ERROR") or force:  # sending: see after_kill
        return
    scored = "" if entry.public is None else f", public {entry.public:.5f}"
    raise SubmissionError(
        f"these predictions were sent before: {entry.csv} ({entry.status}{scored})",
        hint="kagglekit leaderboard shows it; --force sends the same bytes again",
    )


def after_kill(entry: Entry, host: Host, ledger: Ledger) -> Entry | None:
    """What became of an upload that was cut off, by a kill or a lost reply; None where nothing was sent."""
    if entry.status not in ("sending", "PENDING"):
        return None
    sync(host, ledger, entry.host)
    now = ledger.find(entry.sha256, entry.host)
    return None if now is None or now.status == "written" else now


def upload(written: Written, host: Host, ledger: Ledger, message: str) -> Entry:
    """Send the CSV. The log says "sending" before, so that a kill in between can be seen after.

    Raises:
        HostError: refused, and the log says why; or no reply came, and the log still says "sending".
    """
    sending = replace(
        written.entry, status="sending", message=message, public=None, private=None, error="", ref=None
    )
    ledger.append(sending)
    try:
        ref = host.submit(written.path, message)
    except Exception as error:
        if not _may_have_arrived(error):
            ledger.append(replace(sending, status="ERROR", error=str(error)))
        raise
    entry = replace(sending, status="PENDING", ref=ref)
    ledger.append(entry)
    return entry


def _may_have_arrived(error: BaseException | None) -> bool:
    """Whether the host may have taken it all the same: the connection broke, or its server did."""
    while error is not None and not isinstance(error, OSError):  # requests' errors are OSErrors, too
        error = error.__cause__
    response = getattr(error, "response", None)
    return error is not None and (response is None or response.status_code >= 500)


def wait(entry: Entry, host: Host, ledger: Ledger, sleep: Callable[[float], None] = time.sleep) -> Entry:
    """Ask, less and less often, until the host has scored it (or for half an hour); log what it says."""
    pause, waited = FIRST_WAIT, 0.0
    assert entry.ref is not None
    with console.bar("waiting for the score", None, "checks") as advance:
        while True:
            entry = updated(entry, host.submission(entry.ref), ledger)
            if entry.status != "PENDING" or waited > GIVE_UP:
                return entry
            sleep(pause)
            waited += pause
            advance(1)
            pause = min(pause * 1.5, LONGEST_WAIT)


def updated(entry: Entry, state: SubmissionState, ledger: Ledger) -> Entry:
    """The entry with what the host says; logged where that is news."""
    new = replace(
        entry,
        status=state.status,
        ref=state.ref,
        public=state.public,
        private=state.private,
        error=state.error,
    )
    if new != entry:
        ledger.append(new)
    return new


def sync(host: Host, ledger: Ledger, name: str) -> list[Entry]:
    """Bring every entry that was sent to this host up to date; those that changed.

    An entry left at "sending" by a kill or a lost reply is looked for on the host: found, it was sent;
    not found, it was not.

    Args:
        host: where the competition lives.
        ledger: the log, also of other hosts.
        name: what the log calls `host`.
    """
    states = host.submissions()
    by_ref = {state.ref: state for state in states}
    claimed = ledger.refs(name)
    changed = []
    for entry in ledger.entries():
        if entry.host != name:
            continue
        sending = entry.status == "sending"
        state = _arrived(entry, states, claimed) if sending else by_ref.get(entry.ref or "")
        if state is not None:
            claimed.add(state.ref)
            new = updated(entry, state, ledger)
        elif sending:
            new = replace(entry, status="written")
            ledger.append(new)
        else:
            continue
        if new != entry:
            changed.append(new)
    return changed


def _arrived(
    entry: Entry, states: Iterable[SubmissionState], claimed: Collection[str]
) -> SubmissionState | None:
    """The newest state that can be this upload's: of its file, and of no other upload of that file."""
    since = datetime.fromisoformat(entry.time) - CLOCK_ERROR
    return next(
        (s for s in states if s.file_name == entry.csv and s.ref not in claimed and s.date >= since), None
    )
