"""Blend models, write the submission and check it; with --upload ask, send it, and wait for the score."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from kagglekit.commands import names

if TYPE_CHECKING:
    from kagglekit.ensemble.build import Ensemble
    from kagglekit.hosts.base import Host
    from kagglekit.ledger import Entry, Ledger
    from kagglekit.submit import Written

EXAMPLE = """example:
  $ kagglekit submit --ensemble ast,wav2vec2 --upload
  submissions/20261122-101500_ast+wav2vec2_0.9312.csv: 158,538 rows, CV 0.9312
  Upload it? [y/N] y
  sent as 51234567: public 0.92811, private not shown yet, CV 0.9312"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--ensemble", type=names, default=None, metavar="A,B", help="models; all trained ones by default"
    )
    parser.add_argument("--upload", action="store_true", help="send it to the host")
    parser.add_argument("--yes", action="store_true", help="without asking")
    parser.add_argument("--force", action="store_true", help="even if the same bytes were sent before")
    parser.add_argument("--no-wait", action="store_true", help="do not wait for the score")
    parser.add_argument("--message", default=None, help="the host keeps it with the submission")
    parser.set_defaults(keep_sent=False)


def run(args: argparse.Namespace) -> None:
    from kagglekit import console
    from kagglekit.commands import best_runs, next_command, open_workspace, show_score
    from kagglekit.commands.ensemble import members_table, weights_of
    from kagglekit.data.prepare import prepare
    from kagglekit.ensemble.build import build
    from kagglekit.hosts import open_host
    from kagglekit.ledger import Ledger
    from kagglekit.submit import write

    config, workspace = open_workspace(args)
    prepared = prepare(config, workspace)
    runs = best_runs(config, workspace, prepared, args.ensemble)
    made = build(config, workspace, prepared, runs)
    written = write(config, workspace, made)
    console.show(
        [
            members_table(made),
            f"{written.path}: {len(written.frame):,} rows, CV {made.score.cv:.4f}",
            *show_score(made.score),
            _balance(written, config.labels.classes),
            *(f"  warning: {text}" for text in written.warnings),
        ]
    )
    entry, then = written.entry, f"submit --ensemble {','.join(run.model for run in runs)} --upload"
    lines: list[object] = []
    if args.upload:
        if args.keep_sent and entry.status in ("PENDING", "COMPLETE"):
            lines.append(f"sent before as {entry.ref}: {_scores(entry)}")
        else:
            host, ledger = open_host(config, workspace.root), Ledger(workspace.ledger_path)
            entry = _upload(args, written, made, host, ledger)
            lines.append(f"sent as {entry.ref}: {_scores(entry)}")
        then = "leaderboard"
    data = {"csv": written.path, "rows": len(written.frame), "cv": made.score.cv, "weights": weights_of(made)}
    scores = {"status": entry.status, "ref": entry.ref, "public": entry.public, "private": entry.private}
    console.result({**data, **scores, "warnings": written.warnings}, [*lines, next_command(args, then)])


def _scores(entry: Entry) -> str:
    """`public 0.92811, private not shown yet, CV 0.9312`"""
    if entry.status != "COMPLETE":
        return "not scored yet"
    private = "not shown yet" if entry.private is None else f"{entry.private:.5f}"
    public = "not shown yet" if entry.public is None else f"{entry.public:.5f}"
    cv = "" if entry.cv_score is None else f", CV {entry.cv_score:.4f}"
    return f"public {public}, private {private}{cv}"


def _balance(written: Written, classes: tuple[str, ...]) -> str:
    from kagglekit.submission import class_balance

    balance = class_balance(written.frame, classes)
    return "  labels: " + ", ".join(f"{label} {count:,} ({share:.1%})" for label, count, share in balance)


def _upload(args: argparse.Namespace, written: Written, made: Ensemble, host: Host, ledger: Ledger) -> Entry:
    """Send, if that was not begun before, and wait for the score."""
    from kagglekit.errors import SubmissionError
    from kagglekit.submit import after_kill, wait

    entry = None if args.force else after_kill(written.entry, host, ledger)
    if entry is None:
        entry = _send(args, written, made, host, ledger)
    if args.no_wait:
        return entry
    entry = wait(entry, host, ledger)
    if entry.status == "ERROR":
        raise SubmissionError(f"the host did not accept it: {entry.error}", hint=f"look at {written.path}")
    return entry


def _send(args: argparse.Namespace, written: Written, made: Ensemble, host: Host, ledger: Ledger) -> Entry:
    """Ask, and send."""
    from kagglekit import console
    from kagglekit.errors import SubmissionError
    from kagglekit.submit import refuse_twice, upload

    refuse_twice(written, force=args.force)
    limits = host.limits()
    left = "" if limits.allowed_now is None else f"; {limits.allowed_now} submissions left today"
    console.show([f"  sent today: {limits.today}{left}"])
    if limits.allowed_now == 0:
        raise SubmissionError(
            "no submissions are left today", hint=f"{written.path} is kept: send it tomorrow"
        )
    if not args.yes and not _agreed():
        raise SubmissionError("not uploaded", hint=f"{written.path} is kept; --yes uploads without asking")
    return upload(written, host, ledger, args.message or f"{made.name} CV {made.score.cv:.4f}")


def _agreed() -> bool:
    """Ask on stderr, so that stdout stays the result."""
    import sys

    if not sys.stdin.isatty():
        return False
    print("Upload it? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
