"""Bring the log up to date with the host: scores, uploads that were cut off, submissions from elsewhere."""

import math
from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from kagglekit.config import Config
from kagglekit.errors import HostError
from kagglekit.hosts.base import Host, SubmissionState
from kagglekit.scoring.metrics import Metric
from kagglekit.submission.ledger import Entry, Ledger, stamp
from kagglekit.submission.medals import rank_of

CLOCK_ERROR = timedelta(days=1)
"""How far this machine's clock may be ahead of the host's, a wrong time zone included."""
SHORTEST_SETTLE_S = 60.0
"""A host may show an upload that late, however short the pauses of `network` are."""


def record_state(entry: Entry, state: SubmissionState, ledger: Ledger) -> Entry:
    """Return the entry with the host's state of it, and log it where anything changed."""
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
    """Bring the log up to date with this host, and return the entries that changed or are new.

    An entry left at "sending" by a kill or a lost reply is searched for on the host: if it is there, it was
    sent; if not, the CSV's earlier state holds again. Submissions that the log does not know are imported.

    Args:
        name: the host's name in the log.
        settle: seconds within which an upload may still appear.

    Raises:
        HostError: the host's list lacks a submission that it once had, so nothing follows from what else is
            missing; or an upload was cut off so recently that it may still arrive.
    """
    states = host.submissions()
    by_ref = {state.ref: state for state in states}
    claimed = ledger.refs(name)
    complete = claimed <= by_ref.keys()
    changed, unknown = [], []
    for entry in ledger.entries():
        if entry.host != name:
            continue
        sending = entry.status == "sending"
        # What was refused may have arrived all the same, where something on the way refused it.
        unseen = sending or (entry.status == "ERROR" and entry.ref is None)
        state = match_upload(entry, states, claimed) if unseen else by_ref.get(entry.ref or "")
        if state is not None:
            claimed.add(state.ref)
            new = record_state(entry, state, ledger)
        elif sending and (age := _seconds_since_upload(entry)) < settle:
            raise HostError(
                f"{entry.csv} was sent {age:.0f} s ago, and the host does not show it yet",
                hint=f"run the same command again in {settle:.0f} s: a slow upload may still arrive",
            )
        elif sending and complete:
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
            f"the host's list of submissions is incomplete: {unknown[0].csv} is missing",
            hint="run the same command again later; if the host has dropped submissions for good (another "
            f"account, a removed local host), remove their lines from {ledger.path.name}",
        )
    return changed + foreign


def settle_seconds(config: Config) -> float:
    """Return the seconds after which an upload that the host does not show has failed: at least a minute.

    On a local host, an upload arrives at once or never.
    """
    network = config.network
    if config.competition.host == "local":
        return 0.0
    return max(SHORTEST_SETTLE_S, 2 * network.timeout_s, network.pause_s * 2.0**network.tries)


def match_upload(
    entry: Entry, states: Iterable[SubmissionState], claimed: Collection[str]
) -> SubmissionState | None:
    """Return the newest state that can be this upload: the same file or mark, not claimed by another entry.

    Args:
        states: newest first. Those after `entry.after` are looked at, so that no clock matters; where the
            host does not show that one any more, those since the CSV was written.
    """
    states = list(states)
    refs = [state.ref for state in states]
    if entry.after in refs:
        states = states[: refs.index(entry.after)]
    elif entry.after != "":
        since = datetime.fromisoformat(entry.time) - CLOCK_ERROR
        states = [state for state in states if state.date >= since]
    return next((state for state in states if state.ref not in claimed and _is_of(state, entry)), None)


def _is_of(state: SubmissionState, entry: Entry) -> bool:
    """Tell whether a state on the host may be an entry: by the mark of a notebook, or a CSV's name."""
    return entry.mark in state.message if entry.mark else state.file_name == entry.csv


def now() -> datetime:
    """Return the time of this machine's clock, which tests replace."""
    return datetime.now(UTC)


def _seconds_since_upload(entry: Entry) -> float:
    """Return the seconds since the upload began; infinity where the log does not say.

    A clock that was set back makes them negative: the upload then counts as just begun, until it has run on.
    """
    if entry.sent is None:
        return math.inf
    return (now() - datetime.fromisoformat(entry.sent)).total_seconds()


def _foreign(state: SubmissionState, name: str) -> Entry:
    """Return a log entry for a submission that this log does not know."""
    return Entry(
        time=stamp(state.date),
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


def record_ranks(host: Host, ledger: Ledger, name: str, metric: Metric) -> None:
    """Log which submissions are selected, and the rank of each public score among the other teams."""
    details, rows, selected = host.details(), host.leaderboard(), host.selected()
    others = [row.score for row in rows if row.score is not None and row.rank != details.rank]
    teams = max(details.teams or 0, len(rows))
    for entry in ledger.entries():
        if entry.host != name or entry.public is None:
            continue
        place: int | None = rank_of(entry.public, others, metric)
        if len(rows) < teams and place == len(others) + 1:
            place = None  # below the last listed score, on a leaderboard that is listed in part
        chosen = None if selected is None else entry.ref in selected
        new = replace(entry, rank=place, teams=teams, selected=chosen)
        if new != entry:
            ledger.append(new)
