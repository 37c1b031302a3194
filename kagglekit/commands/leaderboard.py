"""Show the log of submissions: CV beside public and private score, and where they would stand."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kagglekit.config import Config
    from kagglekit.files.workspace import Workspace
    from kagglekit.submission.ledger import Entry, Ledger

EXAMPLE = """example:
  $ kagglekit leaderboard --sync
  time (UTC)            models         CV       public    private   CV-public   rank             status
  2026-11-22 10:15:00   ast+wav2vec2   0.9012*  0.8841*             +1.7        93/1315 bronze   COMPLETE"""

COLUMNS = ["time (UTC)", "models", "CV", "public", "private", "CV-public", "rank", "status", "file"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--sync", action="store_true", help="ask the host for late scores, ranks, and what was sent elsewhere"
    )
    parser.add_argument("--csv", metavar="FILE", default=None, help="write the log as a CSV")


def run(args: argparse.Namespace) -> None:
    from dataclasses import asdict
    from pathlib import Path

    from kagglekit.commands import next_command, open_workspace, table
    from kagglekit.submission.ledger import Ledger, best, host_name, to_csv
    from kagglekit.terminal import console

    config, workspace = open_workspace(args)
    ledger = Ledger(workspace.ledger_path)
    lines: list[object] = _sync(workspace, ledger) if args.sync else []
    entries = sorted(ledger.entries(), key=lambda entry: entry.time)
    here = [entry for entry in entries if entry.host == host_name(config)]
    by_cv, by_public = best(here, "cv_score"), best(here, "public")
    if args.csv:
        to_csv(entries, Path(args.csv))
        lines.append(f"wrote {args.csv}")
    if entries:
        rows = [_row(entry, entry is by_cv, entry is by_public) for entry in entries]
        lines = [table(f"{workspace.ledger_path}", COLUMNS, rows), *_legend(config, here), *lines]
    else:
        lines += ["no submission yet", next_command(args, "submit --ensemble tcresnet")]
    first = {"best_by_cv": by_cv, "best_by_public": by_public}
    data = {name: entry and {"csv": entry.csv, "ref": entry.ref} for name, entry in first.items()}
    console.result({"entries": [asdict(entry) for entry in entries], **data}, lines)


def _sync(workspace: Workspace, ledger: Ledger) -> list[object]:
    from kagglekit.errors import HostError
    from kagglekit.files.locks import locked
    from kagglekit.hosts import open_host
    from kagglekit.submission.ledger import host_name
    from kagglekit.submission.sync import record_ranks, settle_seconds, sync
    from kagglekit.terminal import console

    host, name = open_host(workspace.config, workspace.root), host_name(workspace.config)
    with locked(workspace.submissions / "upload", "an upload"):  # one on its way is not yet to be judged
        changed = sync(host, ledger, name, settle_seconds(workspace.config))
    try:
        record_ranks(host, ledger, name)
    except HostError as error:  # the scores are there, and count for more
        console.note(f"no ranks: {error}")
    foreign = sum(entry.foreign for entry in changed)
    return [f"{len(changed)} entries changed" + (f", {foreign} of them made elsewhere" if foreign else "")]


def _row(entry: Entry, best_cv: bool, best_public: bool) -> list[Any]:
    cv, public = entry.cv_score, entry.public
    return [
        entry.time.replace("T", " ").rstrip("Z"),
        "+".join(entry.models) or ("(elsewhere)" if entry.foreign else "(file)"),
        _marked(cv, best_cv),
        _marked(public, best_public),
        entry.private,
        None if public is None or cv is None else _points(cv - public),
        _standing(entry),
        entry.status + (", selected" if entry.selected else ""),
        entry.csv,
    ]


def _points(difference: float) -> str:
    """`+1.2`; never `-0.0`."""
    return f"{round(100 * difference, 1) + 0.0:+.1f}"


def _marked(score: float | None, is_best: bool) -> str:
    return "" if score is None else f"{score:.4f}{'*' * is_best}"


def _standing(entry: Entry) -> str:
    """`61/1315 silver`"""
    from kagglekit.submission.medals import zone

    if entry.rank is None or entry.teams is None:
        return ""
    return f"{entry.rank}/{entry.teams} {zone(entry.rank, entry.teams)}".rstrip()


def _legend(config: Config, entries: list[Entry]) -> list[str]:
    """How to read the table."""
    from kagglekit.submission.medals import medals

    lines = ["* the best"] if any(e.cv_score is not None or e.public is not None for e in entries) else []
    if any(entry.rank for entry in entries):
        teams = max(entry.teams or 0 for entry in entries)
        zones = ", ".join(f"{name} to {last:,}" for name, last in medals(teams)._asdict().items() if last)
        lines.append(
            f"rank: where the public score stood at the last --sync{zones and f'; medal zones: {zones}'}"
        )
    if config.competition.host == "kaggle" and any(entry.ref for entry in entries):
        page = f"https://www.kaggle.com/competitions/{config.competition.slug}/submissions"
        lines.append(f"selected: counts for the final score, as of the last --sync; choose at {page}")
    return lines
