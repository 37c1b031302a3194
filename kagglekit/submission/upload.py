"""Sending a CSV: whether it may go, once and no more, and its score when the host has one."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import requests

from kagglekit.config import Network
from kagglekit.errors import HostError, SubmissionError
from kagglekit.hosts.base import Host
from kagglekit.hosts.replies import server_words
from kagglekit.submission.ledger import Entry, Ledger, stamp
from kagglekit.submission.sync import arrived, sync, updated
from kagglekit.submission.write import Written
from kagglekit.terminal import console, progress

Sleep = Callable[[float], None]

FIRST_WAIT, LONGEST_WAIT, GIVE_UP = 0.5, 15.0, 1800.0  # seconds
FAILED_POLLS = 5  # in a row, each after the host's own retries, until the score is left for later


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
    sending = replace(unscored, status="sending", message=message, sent=stamp(datetime.now(UTC)))
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
            found = arrived(sending, host.submissions(), ledger.refs(sending.host))
        except HostError:
            continue
        if found is not None:
            return updated(sending, found, ledger)
    return None


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
    with progress.bar("waiting for the score", None, "checks") as advance:
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
