"""Submissions that have both a CV and a public score."""

from __future__ import annotations

from collections.abc import Sequence

from kagglekit.files.workspace import Workspace
from kagglekit.submission.ledger import Entry, Ledger, host_name


def comparable(workspace: Workspace) -> list[Entry]:
    """Submissions to this host with a CV and a public score, oldest first."""
    entries = sorted(Ledger(workspace.ledger_path).entries(), key=lambda entry: entry.time)
    here = [entry for entry in entries if entry.host == host_name(workspace.config)]
    return [entry for entry in here if entry.cv_score is not None and entry.public is not None]


def scores_of(sent: Sequence[Entry]) -> list[tuple[float, float]]:
    """(CV, public) of comparable submissions."""
    return [(e.cv_score, e.public) for e in sent if e.cv_score is not None and e.public is not None]
