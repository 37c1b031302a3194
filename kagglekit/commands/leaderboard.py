"""Show the log of submissions: CV beside public and private scores, ranks and medal zones."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from kagglekit.commands import file_name, next_command, open_project
from kagglekit.terminal import console
from kagglekit.terminal.table import ResultTable

if TYPE_CHECKING:
    from kagglekit.config import Config
    from kagglekit.project.results import Leaderboard
    from kagglekit.scoring.metrics import Metric
    from kagglekit.submission.ledger import Entry

EXAMPLE = """example:
  $ kagglekit leaderboard --sync
  time (UTC)            models         CV       public    private   CV-public   rank             status
  2026-11-22 10:15:00   ast+wav2vec2   0.9012*  0.8841*             +1.7        93/1315 bronze   COMPLETE"""

COLUMNS = ["time (UTC)", "models", "CV", "public", "private", "CV-public", "rank", "status", "file"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--sync",
        action="store_true",
        help="ask the host for late scores, ranks, and submissions made elsewhere",
    )
    parser.add_argument("--out", metavar="FILE", type=file_name, help="write the log as a CSV")


def run(args: argparse.Namespace) -> None:
    project = open_project(args)
    log = project.leaderboard(sync=args.sync, out=args.out)
    lines: list[object] = [] if log.changed is None else [_changes(log.changed)]
    lines += [f"wrote {args.out}"] if args.out else []
    if log.entries:
        rows = [_row(entry, log, project.metric) for entry in log.entries]
        title = f"submissions, logged in {project.workspace.ledger_path}"
        lines = [ResultTable(title, COLUMNS, rows), *_legend(project.config, log.here), *lines]
    else:
        lines += ["no submission yet", next_command(project, "submit --ensemble tcresnet")]
    first = {"best_by_cv": log.best_by_cv, "best_by_public": log.best_by_public}
    data = {name: entry and {"csv": entry.csv, "ref": entry.ref} for name, entry in first.items()}
    console.result({"entries": [asdict(entry) for entry in log.entries], **data}, lines)


def _changes(changed: list[Entry]) -> str:
    """Format the count: `2 entries changed, 1 of them made elsewhere`."""
    count = f"{len(changed)} entr{'y' if len(changed) == 1 else 'ies'} changed"
    elsewhere = sum(entry.foreign for entry in changed)
    return count + (f", {elsewhere} of them made elsewhere" if elsewhere else "")


def _row(entry: Entry, log: Leaderboard, metric: Metric) -> list[Any]:
    cv, public, comparable = entry.cv_score, entry.public, entry.has_cv(metric)
    return [
        entry.time.replace("T", " ").rstrip("Z"),
        "+".join(entry.models) or ("(elsewhere)" if entry.foreign else "(file)"),
        _marked(cv, entry is log.best_by_cv),
        _marked(public, entry is log.best_by_public),
        entry.private,
        metric.difference(cv - public) if cv is not None and public is not None and comparable else None,
        _standing(entry),
        entry.status + (", selected" if entry.selected else ""),
        entry.csv,
    ]


def _marked(score: float | None, is_best: bool) -> str:
    return "" if score is None else f"{score:.4f}{'*' * is_best}"


def _standing(entry: Entry) -> str:
    """Format rank and medal zone: `61/1315 silver`."""
    from kagglekit.submission.medals import zone

    if entry.rank is None or entry.teams is None:
        return ""
    return f"{entry.rank}/{entry.teams} {zone(entry.rank, entry.teams)}".rstrip()


def _legend(config: Config, entries: list[Entry]) -> list[str]:
    """Explain the table."""
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
