"""What the host knows of submissions, brought into the log."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from kagglekit.config import Config
from kagglekit.errors import HostError
from kagglekit.hosts.base import Host, SubmissionState
from kagglekit.submission.ledger import Entry, Ledger, stamp
from kagglekit.submission.medals import rank_of

# That this machine's clock may be ahead of the host's: a wrong time zone, and more. The name of the CSV
# holds the second it was written in, so that nothing older has the same one.
CLOCK_ERROR = timedelta(days=1)


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
        state = arrived(entry, states, claimed) if sending else by_ref.get(entry.ref or "")
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


def settling(config: Config) -> float:
    """Seconds after which an upload that the host does not show will not turn up any more: about a minute.

    A folder of this machine takes a CSV at once or never.
    """
    network = config.network
    return 0.0 if config.competition.host == "local" else network.pause_s * 2.0**network.tries


def arrived(
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
