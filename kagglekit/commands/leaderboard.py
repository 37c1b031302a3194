"""Show the log of submissions: CV beside public and private score."""

from __future__ import annotations

import argparse

EXAMPLE = """example:
  $ kagglekit leaderboard --sync
  time                  models         CV      public   private  status
  2026-11-22 10:15:00   ast+wav2vec2   0.9312  0.92811           COMPLETE"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sync", action="store_true", help="ask the host for scores that came later")
    parser.add_argument("--csv", metavar="FILE", default=None, help="write the log as a CSV")


def run(args: argparse.Namespace) -> None:
    from dataclasses import asdict
    from pathlib import Path

    from kagglekit import console
    from kagglekit.commands import next_command, open_workspace, table
    from kagglekit.ledger import Ledger, host_name, to_csv

    config, workspace = open_workspace(args)
    ledger = Ledger(workspace.ledger_path)
    lines: list[object] = []
    if args.sync:
        from kagglekit.hosts import open_host
        from kagglekit.submit import sync

        changed = sync(open_host(config, workspace.root), ledger, host_name(config))
        lines.append(f"{len(changed)} entries changed")
    entries = ledger.entries()
    if args.csv:
        to_csv(entries, Path(args.csv))
        lines.append(f"wrote {args.csv}")
    rows = [
        [
            e.time.replace("T", " ").rstrip("Z"),
            "+".join(e.models),
            e.cv_score,
            e.public,
            e.private,
            None if e.public is None or e.cv_score is None else f"{100 * (e.cv_score - e.public):+.1f}",
            e.status,
            e.csv,
        ]
        for e in entries
    ]
    columns = ["time (UTC)", "models", "CV", "public", "private", "CV-public", "status", "file"]
    if entries:
        lines.insert(0, table(f"{workspace.ledger_path}", columns, rows))
    else:
        lines += ["no submission yet", next_command(args, "submit --ensemble tcresnet")]
    console.result({"entries": [asdict(e) for e in entries]}, lines)
