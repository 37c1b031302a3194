"""Send a written CSV to the host: check, ask, upload once, and wait for the score.

The log says "sending" before the upload begins. After a kill or a lost reply, the next call looks for the
upload on the host before it sends anything, so the same bytes never go out twice by accident.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC
from functools import partial
from pathlib import Path

import requests

from kagglekit.config import Config, Network
from kagglekit.errors import HostError, SubmissionError
from kagglekit.files.locks import locked
from kagglekit.files.workspace import Workspace
from kagglekit.hosts import open_host
from kagglekit.hosts.base import Host
from kagglekit.hosts.replies import is_about_limit, server_words
from kagglekit.submission.ledger import Entry, Ledger, stamp
from kagglekit.submission.sync import match_upload, now, record_state, settle_seconds, sync
from kagglekit.submission.write import SubmissionFile, check_unchanged
from kagglekit.terminal import console, progress

Sleep = Callable[[float], None]
Confirm = Callable[[Sequence[str]], bool]
"""Receives the host's notes (submissions left, a deadline); returns whether to upload."""

FIRST_WAIT, LONGEST_WAIT, GIVE_UP = 0.5, 15.0, 1800.0  # seconds
REFUSALS = (400, 401, 403, 404, 413, 422)
"""Status with which the host itself refuses a submission; others, such as 408 or 429, may be a proxy's."""
FAILED_POLLS = 5  # failures in a row, each after the host's own retries, that end the wait


@dataclass(frozen=True, kw_only=True)
class UploadOptions:
    """How to send a submission."""

    confirm: Confirm = lambda notes: True
    force: bool = False
    """Send the same bytes again."""
    wait: bool = True
    """Wait for the score."""
    message: str | None = None
    """Submission description; by default the models and their CV score."""


def send(submission: SubmissionFile, workspace: Workspace, options: UploadOptions) -> Entry:
    """Resume or start an upload, and wait for its score.

    Raises:
        SubmissionError: it was sent before, must not be sent now, was not confirmed, or was rejected.
        HostError: the host refused or could not be reached.
    """
    host, ledger = open_host(workspace.config, workspace.root), Ledger(workspace.ledger_path)
    with locked(workspace.submissions / "upload", "an upload"):  # two at once would both find it unsent
        entry = _resume_or_upload(submission, workspace.config, host, ledger, options)
    if not options.wait:
        return entry
    entry = wait_for_score(entry, host, ledger)
    if entry.status == "ERROR":
        raise SubmissionError(
            f"the host rejected the submission: {entry.error}", hint=f"check {submission.path}"
        )
    return entry


def _resume_or_upload(
    submission: SubmissionFile, config: Config, host: Host, ledger: Ledger, options: UploadOptions
) -> Entry:
    entry = ledger.find(submission.entry.sha256, submission.entry.host) or submission.entry
    if not options.force or entry.status == "sending":
        begun = find_interrupted(entry, host, ledger, settle_seconds(config))
        if begun is not None:
            return begun
        entry = ledger.find(entry.sha256, entry.host) or entry  # the state before the interrupted upload
    submission = replace(submission, entry=entry)
    check_unsent(submission, force=options.force)
    if not options.confirm(check_host(host, submission.path)):
        raise SubmissionError(
            "not uploaded", hint=f"{submission.path} is kept; --yes skips the confirmation prompt"
        )
    check_unchanged(submission)
    return upload(submission, host, ledger, options.message or default_message(entry), config.network)


def default_message(entry: Entry) -> str:
    """Return `gru+tcresnet CV 0.8801`, or the file name of an imported CSV."""
    models = "+".join(entry.models) or entry.csv
    return models if entry.cv_score is None else f"{models} CV {entry.cv_score:.4f}"


def check_unsent(submission: SubmissionFile, *, force: bool) -> None:
    """Raise SubmissionError where these bytes were sent before; a failed upload may be sent again."""
    entry = submission.entry
    if entry.status in ("written", "sending", "ERROR") or force:  # sending: see find_interrupted
        return
    score = "" if entry.public is None else f", public {entry.public:.5f}"
    raise SubmissionError(
        f"these predictions were sent before: {entry.csv} ({entry.status}{score})",
        hint="kagglekit leaderboard shows it; --force sends the same bytes again",
    )


def check_host(host: Host, path: Path, *, notebook: bool = False) -> list[str]:
    """Ask the host whether it would accept a submission now, without using one up; return notes to show.

    Args:
        path: what is to be sent.
        notebook: whether it is a built notebook, and not a CSV.

    Raises:
        SubmissionError: the host accepts notebooks only, the rules are not accepted, the deadline has passed
            and late submissions are closed, or no submission is left today.
    """
    details, kept = host.details(), f"{path} is kept"
    if details.notebooks_only and not notebook:
        raise SubmissionError(
            f"{details.slug} accepts no CSV: submissions are notebooks that run on the host",
            hint=f"{kept}; set competition.delivery to notebook, and submit the models",
        )
    if details.closed:
        raise SubmissionError(
            f"{details.slug} takes no submissions: its host has disabled them",
            hint=f"{kept}; look at the competition's page for when it opens again",
        )
    if details.entered is False:
        where = details.rules_url or "its host's pages"
        raise SubmissionError(
            f"the rules of {details.slug} are not accepted", hint=f"accept them at {where}; {kept}"
        )
    limits, late = host.limits(), []
    if details.deadline is not None and now() > details.deadline:
        closed = f"{details.deadline.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        if limits.allowed_now == 0:
            raise SubmissionError(
                f"the competition closed at {closed}, and the host takes no submission now",
                hint=f"{kept}; for a local host, set competition.local.deadline in competition.yaml",
            )
        late = [f"the deadline was {closed}: late submissions are scored but not ranked"]
    if limits.allowed_now == 0:
        raise SubmissionError("no submissions are left today", hint=f"{kept}: send it tomorrow")
    left = "" if limits.allowed_now is None else f", {limits.allowed_now} left"
    return [f"submissions today: {limits.today} sent{left}", *late]


def upload(
    submission: SubmissionFile,
    host: Host,
    ledger: Ledger,
    message: str,
    network: Network | None = None,
    sleep: Sleep = time.sleep,
) -> Entry:
    """Upload the CSV once; see `send_once`."""
    submit = partial(host.submit, submission.path, message)
    return send_once(replace(submission.entry, message=message), submit, host, ledger, network, sleep)


def send_once(
    entry: Entry,
    submit: Callable[[], str],
    host: Host,
    ledger: Ledger,
    network: Network | None = None,
    sleep: Sleep = time.sleep,
) -> Entry:
    """Submit once, and log it before and after.

    When the reply is lost, look for the submission on the host instead of sending it again: a slow request
    could still arrive.

    Args:
        submit: sends the submission of `entry`, and returns its reference.

    Raises:
        HostError: the host refused, and the log says why; or the reply was lost and the host does not show
            the submission. The log then still says "sending", and the next call looks for it before it sends.
    """
    unscored = replace(entry, public=None, private=None, rank=None, teams=None, error="", ref=None)
    newest = next((state.ref for state in host.submissions()), "")
    sending = replace(unscored, status="sending", sent=stamp(now()), after=newest)
    ledger.append(sending)
    try:
        ref = submit()
    except HostError as error:
        if not may_have_arrived(error):
            refused = replace(sending, status="ERROR", error=str(error))
            ledger.append(ledger.sent_before(sending) or refused)
            raise
        shown = _find_upload(sending, host, ledger, network or Network(), sleep)
        if shown is None:
            raise HostError(
                f"cannot tell whether the host received {entry.csv}: {error}",
                hint="run the same command again: it looks on the host before it sends",
            ) from error
        return shown
    entry = replace(sending, status="PENDING", ref=ref)
    ledger.append(entry)
    return entry


def may_have_arrived(error: BaseException | None) -> bool:
    """Return whether a request may have arrived all the same: the connection or a server on the way broke.

    With any other refusal, the next call looks on the host before it sends, without a wait (`sync`).
    """
    while error is not None and not isinstance(error, OSError):  # requests' errors are OSErrors, too
        error = error.__cause__
    if isinstance(error, requests.HTTPError):
        return server_words(error)[0] not in REFUSALS and not is_about_limit(error)
    return error is not None


def _find_upload(sending: Entry, host: Host, ledger: Ledger, network: Network, sleep: Sleep) -> Entry | None:
    """Look for an upload on the host, with growing pauses; None where it does not show."""
    what = "submission" if sending.mark else "file"
    console.note(f"no reply from the host; checking whether it received the {what}")
    for pause in (network.pause_s * 2**i for i in range(network.tries)):
        sleep(pause)
        try:
            state = match_upload(sending, host.submissions(), ledger.refs(sending.host))
        except HostError:
            continue
        if state is not None:
            return record_state(sending, state, ledger)
    return None


def find_interrupted(entry: Entry, host: Host, ledger: Ledger, settle: float = 0.0) -> Entry | None:
    """Find out what became of an upload that a kill or a lost reply cut off; None where nothing was sent.

    Raises:
        HostError: see `sync`.
    """
    refused = entry.status == "ERROR" and entry.ref is None and entry.sent is not None
    if entry.status not in ("sending", "PENDING") and not refused:
        return None
    earlier = set() if entry.status == "PENDING" else ledger.refs(entry.host)
    sync(host, ledger, entry.host, settle)
    last = ledger.find(entry.sha256, entry.host)
    return None if last is None or last.ref is None or last.ref in earlier else last


def wait_for_score(
    entry: Entry,
    host: Host,
    ledger: Ledger,
    sleep: Sleep = time.sleep,
    give_up: float = GIVE_UP,
    longest: float = LONGEST_WAIT,
) -> Entry:
    """Poll the host, with growing pauses, until it has scored the submission or `give_up` seconds passed.

    Raises:
        HostError: the host failed to answer FAILED_POLLS times in a row.
    """
    pause, waited, failed = FIRST_WAIT, 0.0, 0
    assert entry.ref is not None
    with progress.bar("waiting for the score", None, "checks") as advance:
        while True:
            try:
                entry, failed = record_state(entry, host.submission(entry.ref), ledger), 0
            except HostError as error:
                failed += 1
                if failed == FAILED_POLLS:
                    raise HostError(
                        f"sent as {entry.ref}, but its score cannot be read: {error}",
                        hint="nothing is lost: kagglekit leaderboard --sync asks again",
                    ) from error
            if entry.status != "PENDING" or waited > give_up:
                return entry
            sleep(pause)
            waited += pause
            advance(1)
            pause = min(pause * 1.5, longest)
