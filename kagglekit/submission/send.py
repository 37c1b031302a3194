"""A written CSV on its way: found begun, or checked, agreed to, sent once, and waited for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from kagglekit.config import Config
from kagglekit.errors import SubmissionError
from kagglekit.files.locks import locked
from kagglekit.files.workspace import Workspace
from kagglekit.hosts import open_host
from kagglekit.hosts.base import Host
from kagglekit.submission.ledger import Entry, Ledger
from kagglekit.submission.sync import settling
from kagglekit.submission.upload import admission, after_kill, refuse_twice, upload, wait
from kagglekit.submission.write import Written

Agree = Callable[[Sequence[str]], bool]
"""Told what the host says before sending (the submissions left, a deadline); whether to go on."""


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """How to send."""

    agree: Agree = lambda said: True
    force: bool = False
    """Even if the same bytes were sent before."""
    wait: bool = True
    """Until it is scored."""
    message: str | None = None
    """The host keeps it with the submission; by default its models and CV score."""


def send(written: Written, workspace: Workspace, wishes: Wishes) -> Entry:
    """Send a CSV, if that was not begun before, and wait for its score.

    Raises:
        SubmissionError: it was sent before, must not be sent now, was not agreed to, or was not accepted.
        HostError: the host refused or could not be reached.
    """
    host, ledger = open_host(workspace.config, workspace.root), Ledger(workspace.ledger_path)
    with locked(workspace.submissions / "upload", "an upload"):  # two at once would both find it unsent
        entry = _begun_or_sent(written, workspace.config, host, ledger, wishes)
    if not wishes.wait:
        return entry
    entry = wait(entry, host, ledger)
    if entry.status == "ERROR":
        raise SubmissionError(f"the host did not accept it: {entry.error}", hint=f"look at {written.path}")
    return entry


def _begun_or_sent(written: Written, config: Config, host: Host, ledger: Ledger, wishes: Wishes) -> Entry:
    """Find what an earlier call began, else check, ask, and send."""
    entry = ledger.find(written.entry.sha256, written.entry.host) or written.entry
    if not wishes.force or entry.status == "sending":
        begun = after_kill(entry, host, ledger, settling(config))
        if begun is not None:
            return begun
        entry = ledger.find(entry.sha256, entry.host) or entry  # of an upload before the one that was cut off
    refuse_twice(replace(written, entry=entry), force=wishes.force)
    if not wishes.agree(admission(host, written.path)):
        raise SubmissionError("not uploaded", hint=f"{written.path} is kept; --yes uploads without asking")
    return upload(written, host, ledger, wishes.message or _message(entry), config.network)


def _message(entry: Entry) -> str:
    """`gru+tcresnet CV 0.8801`, or the name of a file made elsewhere."""
    models = "+".join(entry.models) or entry.csv
    return models if entry.cv_score is None else f"{models} CV {entry.cv_score:.4f}"
