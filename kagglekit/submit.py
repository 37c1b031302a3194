"""An ensemble, or a CSV made elsewhere -> a checked CSV -> the host -> a score, each step in the log."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import requests

from kagglekit import console, submission
from kagglekit.config import Config, Network
from kagglekit.ensemble.made import Ensemble
from kagglekit.errors import HostError, MissingError, SubmissionError
from kagglekit.fetch import raw_archive
from kagglekit.hosts.base import Host, SubmissionState
from kagglekit.hosts.replies import server_words
from kagglekit.ledger import Entry, Ledger, git_commit, host_name
from kagglekit.medals import rank_of
from kagglekit.workspace import Workspace, key_of

Sleep = Callable[[float], None]

FIRST_WAIT, LONGEST_WAIT, GIVE_UP = 0.5, 15.0, 1800.0  # seconds
FAILED_POLLS = 5  # in a row, each after the host's own retries, until the score is left for later
# That this machine's clock may be ahead of the host's: a wrong time zone, and more. The name of the CSV
# holds the second it was written in, so that nothing older has the same one.
CLOCK_ERROR = timedelta(days=1)
NOT_SCORE = {"workspace", "submissions", "network"}  # no prediction depends on these sections


# --- the CSV ---


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
        time=_stamp(now),
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


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


# --- whether it may go ---


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


def admission(host: Host, path: Path) -> list[str]:
    """Ask the host whether it would take a CSV now, which costs no submission.

    Returns:
        What to know before sending.

    Raises:
        SubmissionError: it takes notebooks only, the rules are not accepted, the deadline has passed and
            late submissions are not taken, or none is left today.
    """
    details, kept = host.details(), f"{path} is kept"
    if details.notebooks_only:
        raise SubmissionError(
            f"{details.slug} takes no CSV: its submissions are notebooks that run on the host",
            hint=f"{kept}: let a notebook there write these rows",
        )
    if details.entered is False:
        where = details.rules_url or "its host's pages"
        raise SubmissionError(
            f"the rules of {details.slug} are not accepted", hint=f"accept them at {where}; {kept}"
        )
    limits, late = host.limits(), []
    if details.deadline is not None and datetime.now(UTC) > details.deadline:
        closed = f"{details.deadline.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        if limits.allowed_now == 0:
            raise SubmissionError(
                f"the competition closed at {closed}, and the host takes no submission now",
                hint=f"{kept}; for a local host, competition.local.deadline in competition.yaml says when",
            )
        late = [f"the deadline was {closed}: late submissions are scored, and count in no ranking"]
    if limits.allowed_now == 0:
        raise SubmissionError("no submissions are left today", hint=f"{kept}: send it tomorrow")
    left = "" if limits.allowed_now is None else f"; {limits.allowed_now} submissions left today"
    return [f"sent today: {limits.today}{left}", *late]


# --- sending ---


def upload(
    written: Written,
    host: Host,
    ledger: Ledger,
    message: str,
    network: Network | None = None,
    sleep: Sleep = time.sleep,
) -> Entry:
    """Send the CSV. The log says "sending" before, so that a kill in between can be seen after.

    Where no reply comes, it is looked for on the host. It is never sent a second time here: a request
    that was only slow could still arrive.

    Raises:
        HostError: refused, and the log says why; or no reply came and the host does not show it, and
            the log still says "sending", which the next call looks into before it sends.
    """
    unscored = replace(written.entry, public=None, private=None, rank=None, teams=None, error="", ref=None)
    sending = replace(unscored, status="sending", message=message, sent=_stamp(datetime.now(UTC)))
    ledger.append(sending)
    try:
        ref = host.submit(written.path, message)
    except HostError as error:
        if not _may_have_arrived(error):
            refused = replace(sending, status="ERROR", error=str(error))
            ledger.append(ledger.sent_before(sending) or refused)
            raise
        found = _look(sending, host, ledger, network or Network(), sleep)
        if found is None:
            raise HostError(
                f"it is not known whether {written.path.name} arrived: {error}",
                hint="run the same command again: it looks on the host before it sends",
            ) from error
        return found
    entry = replace(sending, status="PENDING", ref=ref)
    ledger.append(entry)
    return entry


def _may_have_arrived(error: BaseException | None) -> bool:
    """Whether the host may have taken it all the same: the connection broke, or its server did."""
    while error is not None and not isinstance(error, OSError):  # requests' errors are OSErrors, too
        error = error.__cause__
    if isinstance(error, requests.HTTPError):
        return server_words(error)[0] >= 500
    return error is not None


def _look(sending: Entry, host: Host, ledger: Ledger, network: Network, sleep: Sleep) -> Entry | None:
    """Look for an upload whose reply was lost, less and less often; None where it does not show."""
    console.note("no reply came; looking whether it has arrived")
    for pause in (network.pause_s * 2**i for i in range(network.tries)):
        sleep(pause)
        try:
            found = _arrived(sending, host.submissions(), ledger.refs(sending.host))
        except HostError:
            continue
        if found is not None:
            return updated(sending, found, ledger)
    return None


def settling(config: Config) -> float:
    """Seconds after which an upload that the host does not show will not turn up any more: about a minute.

    A folder of this machine takes a CSV at once or never.
    """
    network = config.network
    return 0.0 if config.competition.host == "local" else network.pause_s * 2.0**network.tries


def after_kill(entry: Entry, host: Host, ledger: Ledger, settle: float = 0.0) -> Entry | None:
    """What became of an upload that was cut off, by a kill or a lost reply; None where nothing was sent.

    Raises:
        HostError: see `sync`.
    """
    if entry.status not in ("sending", "PENDING"):
        return None
    earlier = ledger.refs(entry.host) if entry.status == "sending" else set()
    sync(host, ledger, entry.host, settle)
    now = ledger.find(entry.sha256, entry.host)
    return None if now is None or now.status == "written" or now.ref in earlier else now


def wait(entry: Entry, host: Host, ledger: Ledger, sleep: Sleep = time.sleep) -> Entry:
    """Ask, less and less often, until the host has scored it (or for half an hour); log what it says.

    Raises:
        HostError: it did not answer several times in a row.
    """
    pause, waited, failed = FIRST_WAIT, 0.0, 0
    assert entry.ref is not None
    with console.bar("waiting for the score", None, "checks") as advance:
        while True:
            try:
                entry, failed = updated(entry, host.submission(entry.ref), ledger), 0
            except HostError as error:
                failed += 1
                if failed == FAILED_POLLS:
                    raise HostError(
                        f"sent as {entry.ref}, but its score cannot be read: {error}",
                        hint="nothing is lost: kagglekit leaderboard --sync asks again",
                    ) from error
            if entry.status != "PENDING" or waited > GIVE_UP:
                return entry
            sleep(pause)
            waited += pause
            advance(1)
            pause = min(pause * 1.5, LONGEST_WAIT)


# --- what the host knows ---


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


def sync(host: Host, ledger: Ledger, name: str, settle: float = 0.0) -> list[Entry]:
    """Bring the log up to date with this host: those entries that changed, and those that are new in it.

    An entry left at "sending" by a kill or a lost reply is looked for on the host: found, it was sent;
    not found, it was not, and what was known of the CSV before holds again. What the host has beyond that
    was sent by other means, and is imported.

    Args:
        host: where the competition lives.
        ledger: the log, also of other hosts.
        name: what the log calls `host`.
        settle: seconds that an upload may take to show.

    Raises:
        HostError: the host's list lacks what it once had, so that what else it lacks means nothing; or an
            upload was cut off so lately that it may still arrive.
    """
    states = host.submissions()
    by_ref = {state.ref: state for state in states}
    claimed = ledger.refs(name)
    whole = claimed <= by_ref.keys()
    changed, unknown = [], []
    for entry in ledger.entries():
        if entry.host != name:
            continue
        sending = entry.status == "sending"
        state = _arrived(entry, states, claimed) if sending else by_ref.get(entry.ref or "")
        if state is not None:
            claimed.add(state.ref)
            new = updated(entry, state, ledger)
        elif sending and _age(entry) < settle:
            raise HostError(
                f"{entry.csv} was sent {_age(entry):.0f} s ago, and the host does not show it yet",
                hint=f"run the same command again in {settle:.0f} s: what was only slow may still arrive",
            )
        elif sending and whole:
            new = ledger.sent_before(entry) or replace(entry, status="written")
            ledger.append(new)
        else:
            unknown += [entry] if entry.status in ("sending", "PENDING") else []
            continue
        if new != entry:
            changed.append(new)
    foreign = [_foreign(state, name) for state in reversed(states) if state.ref not in claimed]
    for entry in foreign:
        ledger.append(entry)
    if unknown:
        raise HostError(
            f"the host's list of submissions is not whole: it tells nothing of {unknown[0].csv}",
            hint="run the same command again later; what the host has forgotten for good (another account, "
            f"a removed local host) has to leave {ledger.path.name}, too",
        )
    return changed + foreign


def _arrived(
    entry: Entry, states: Iterable[SubmissionState], claimed: Collection[str]
) -> SubmissionState | None:
    """The newest state that can be this upload's: of its file, and of no other upload of that file."""
    since = datetime.fromisoformat(entry.time) - CLOCK_ERROR
    return next(
        (s for s in states if s.file_name == entry.csv and s.ref not in claimed and s.date >= since), None
    )


def _age(entry: Entry) -> float:
    """Seconds since its upload began."""
    if entry.sent is None:
        return math.inf
    return (datetime.now(UTC) - datetime.fromisoformat(entry.sent)).total_seconds()


def _foreign(state: SubmissionState, name: str) -> Entry:
    """A log entry for a submission that was made by other means."""
    return Entry(
        time=_stamp(state.date),
        csv=state.file_name,
        sha256="",
        models=[],
        runs=[],
        weights=[],
        config_key="",
        host=name,
        ref=state.ref,
        status=state.status,
        public=state.public,
        private=state.private,
        message=state.message,
        error=state.error,
        foreign=True,
    )


def rank(host: Host, ledger: Ledger, name: str) -> None:
    """Log which submissions are selected, and where each public score would stand beside the other teams."""
    details, rows, selected = host.details(), host.leaderboard(), host.selected()
    others = [row.score for row in rows if row.score is not None and row.rank != details.rank]
    teams = max(details.teams or 0, len(rows))
    for entry in ledger.entries():
        if entry.host != name or entry.public is None:
            continue
        place: int | None = rank_of(entry.public, others)
        if len(rows) < teams and place == len(others) + 1:
            place = None  # below all that the host lists, and it does not list all
        chosen = None if selected is None else entry.ref in selected
        new = replace(entry, rank=place, teams=teams, selected=chosen)
        if new != entry:
            ledger.append(new)
