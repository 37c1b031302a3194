"""Blend models, write the submission and check it; with --upload ask, send it, and wait for the score."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from kagglekit.commands import names
from kagglekit.commands.ensemble import add_choices

if TYPE_CHECKING:
    import polars as pl

    from kagglekit.config import Config
    from kagglekit.ensemble.blend import BlendedRuns
    from kagglekit.files.workspace import Workspace
    from kagglekit.submission.ledger import Entry
    from kagglekit.submission.write import SubmissionFile

MOVES = 6  # kinds of change that are named
EXAMPLE = """example:
  $ kagglekit submit --ensemble ast,wav2vec2 --upload
  submissions/20261122-101500_ast+wav2vec2_0.9312.csv: 158,538 rows, CV 0.9312
  Upload it? [y/N] y
  sent as 51234567: public 0.92811, private not shown yet, CV 0.9312"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--ensemble",
        type=names,
        default=None,
        metavar="A,B",
        help="models, or runs as model/id; all trained models by default",
    )
    source.add_argument("--best", action="store_true", help="the best by nested CV of all that is trained")
    source.add_argument("--file", default=None, metavar="CSV", help="one made elsewhere, checked as ours are")
    add_choices(parser, None)
    parser.add_argument("--dry-run", action="store_true", help="write nothing, send nothing: only show it")
    parser.add_argument("--upload", action="store_true", help="send it to the host")
    parser.add_argument("--yes", action="store_true", help="without asking")
    parser.add_argument("--force", action="store_true", help="even if the same bytes were sent before")
    waiting = parser.add_mutually_exclusive_group()
    waiting.add_argument(
        "--wait", action="store_false", dest="no_wait", default=False, help="until it is scored (the default)"
    )
    waiting.add_argument("--no-wait", action="store_true", help="do not wait for the score")
    parser.add_argument("--message", default=None, help="the host keeps it with the submission")
    parser.set_defaults(keep_sent=False)


def run(args: argparse.Namespace) -> None:
    from pathlib import Path

    from kagglekit.commands import next_command, open_workspace
    from kagglekit.submission.write import import_csv, write
    from kagglekit.terminal import console

    config, workspace = open_workspace(args)
    _check_options(args)
    made = None if args.file else _blend(args, workspace)
    if args.dry_run and made:
        return _rehearse(args, workspace, made)
    written = write(workspace, made) if made else import_csv(workspace, Path(args.file or ""))
    what = ["--file", shlex.quote(args.file)] if args.file else _same_again(args, made)
    outlook = _outlook(args, workspace, made, written.frame)
    console.show([*_described(written.frame, written.warnings, made, config, written), *outlook.lines])
    entry = written.entry
    lines: list[object] = []
    if args.upload:
        if args.keep_sent and entry.status in ("PENDING", "COMPLETE"):
            lines.append(f"sent before as {entry.ref}: {_scores(entry)}")
        else:
            entry = _upload(args, written, workspace)
            lines.append(f"sent as {entry.ref}: {_scores(entry)}")
    lines.append(next_command(args, "leaderboard" if args.upload else f"submit {' '.join(what)} --upload"))
    data = {"csv": written.path, "rows": len(written.frame), "cv": entry.cv_score, **_facts(made)}
    scores = {"status": entry.status, "ref": entry.ref, "public": entry.public, "private": entry.private}
    console.result({**data, **outlook.data, **scores, "warnings": written.warnings}, lines)


def _check_options(args: argparse.Namespace) -> None:
    """Refuse what cannot be together.

    Raises:
        ConfigError: a blend's option with --file, or nothing to rehearse.
    """
    from kagglekit.commands.ensemble import check_choices
    from kagglekit.errors import ConfigError

    check_choices(args)
    if args.file and (args.method or args.decision or args.dry_run):
        raise ConfigError(
            "--method, --decision and --dry-run are about blending, and --file is not blended",
            hint="leave them out: without --upload, --file sends nothing either",
        )
    if args.best and (args.method or args.decision):
        raise ConfigError(
            "--best chooses method and decision itself", hint="name them with --ensemble instead"
        )
    if args.dry_run and args.upload:
        raise ConfigError("--dry-run sends nothing", hint="leave --dry-run or --upload out")


def _blend(args: argparse.Namespace, workspace: Workspace) -> BlendedRuns:
    from kagglekit.data.prepare import prepare
    from kagglekit.ensemble.build import best, build
    from kagglekit.runs.store import best_runs

    prepared = prepare(workspace)
    if args.best:
        return best(prepared, best_runs(prepared, ["runs"]))
    runs = best_runs(prepared, args.ensemble)
    return build(prepared, runs, args.method, args.decision)


def _rehearse(args: argparse.Namespace, workspace: Workspace, made: BlendedRuns) -> None:
    """Show all that --upload would show before it asks."""
    from kagglekit.commands import next_command
    from kagglekit.submission.write import draft
    from kagglekit.terminal import console

    frame, warnings = draft(workspace, made)
    outlook = _outlook(args, workspace, made, frame)
    console.result(
        {
            "csv": None,
            "rows": len(frame),
            "cv": made.score.cv,
            **_facts(made),
            **outlook.data,
            "warnings": warnings,
        },
        [
            *_described(frame, warnings, made, workspace.config, None),
            *outlook.lines,
            "nothing was written (--dry-run)",
            next_command(args, f"submit {' '.join(_same_again(args, made))} --upload"),
        ],
    )


def _same_again(args: argparse.Namespace, made: BlendedRuns | None) -> list[str]:
    """The options that mean this ensemble, whatever is trained by then."""
    from kagglekit.commands.ensemble import choices_of, members_of

    if made is None:
        return []
    asked = ["runs"] if args.best else args.ensemble
    return ["--ensemble", members_of(made.runs, asked), *choices_of(made).split()]


def _facts(made: BlendedRuns | None) -> dict[str, object]:
    """For JSON."""
    from kagglekit.commands.ensemble import weights_of

    if made is None:
        return {"weights": {}}
    return {"weights": weights_of(made), "method": made.method, "decision": made.decision}


def _described(
    frame: pl.DataFrame,
    warnings: list[str],
    made: BlendedRuns | None,
    config: Config,
    written: SubmissionFile | None,
) -> list[object]:
    """What is about to be sent, and how good it may be."""
    from kagglekit.commands import show_score
    from kagglekit.commands.ensemble import members_table
    from kagglekit.submission.shapes import class_balance

    lines: list[object] = []
    if made is not None:
        lines += [members_table(made), f"{made.name}: {made.method}, decision {made.decision}"]
        lines += show_score(made.score)
    if written is not None:
        cv = "" if written.entry.cv_score is None else f", CV {written.entry.cv_score:.4f}"
        lines.append(f"{written.path}: {len(frame):,} rows{cv}")
    balance = class_balance(frame, config.labels.classes)
    lines.append(
        "  labels: " + ", ".join(f"{label} {count:,} ({share:.1%})" for label, count, share in balance)
    )
    return lines + [f"  warning: {text}" for text in warnings]


class _Outlook(NamedTuple):
    """What to expect, for people and for JSON."""

    lines: list[object]
    data: dict[str, object]


def _outlook(
    args: argparse.Namespace, workspace: Workspace, made: BlendedRuns | None, frame: pl.DataFrame
) -> _Outlook:
    """What changed since the last submission, and the score to come; the host is asked only where it would
    be asked anyway, or for a rehearsal."""
    from kagglekit.errors import KagglekitError
    from kagglekit.hosts import open_host
    from kagglekit.scoring.forecast import expected
    from kagglekit.submission.ledger import Ledger, host_name
    from kagglekit.submission.preview import change, standing
    from kagglekit.terminal import console

    out = _Outlook([], {})
    ledger = Ledger(workspace.ledger_path)
    changed = change(frame, ledger, host_name(workspace.config), workspace.submissions)
    if changed is not None:
        moves = ", ".join(f"{before} to {after} {count:,}" for before, after, count in changed.moves[:MOVES])
        more = ", ..." * (len(changed.moves) > MOVES)
        out.lines.append(
            f"  {changed.rows:,} rows differ from {changed.csv}{': ' * bool(moves)}{moves}{more}"
        )
        out.data["change"] = changed._asdict()
    if made is None:
        return out
    hope = expected(made.score, len(frame))
    out.data["expected"] = hope._asdict()
    text = f"  expected public score {hope.score:.4f} (95 % {hope.low:.4f} to {hope.high:.4f})"
    if args.upload or args.dry_run:
        try:
            place = standing(open_host(workspace.config, workspace.root), hope)
        except KagglekitError as error:  # no ranks: the rest counts for more
            console.note(f"no ranks: {error}")
            place = None
        if place is not None:
            medal = f", {place.zone}" if place.zone else ""
            text += f", rank {place.rank} of {place.teams} ({place.best} to {place.worst}){medal}"
            out.data["standing"] = place._asdict()
    out.lines.append(text)
    return out


def _scores(entry: Entry) -> str:
    """`public 0.92811, private not shown yet, CV 0.9312`"""
    if entry.status != "COMPLETE":
        return "not scored yet"
    private = "not shown yet" if entry.private is None else f"{entry.private:.5f}"
    public = "not shown yet" if entry.public is None else f"{entry.public:.5f}"
    cv = "" if entry.cv_score is None else f", CV {entry.cv_score:.4f}"
    return f"public {public}, private {private}{cv}"


def _upload(args: argparse.Namespace, written: SubmissionFile, workspace: Workspace) -> Entry:
    """Send, if that was not begun before, and wait for the score."""
    from kagglekit.submission.send import UploadOptions, send
    from kagglekit.terminal import console

    def confirm(notes: Sequence[str]) -> bool:
        console.show([f"  {note}" for note in notes])
        return args.yes or _agreed()

    options = UploadOptions(confirm=confirm, force=args.force, wait=not args.no_wait, message=args.message)
    return send(written, workspace, options)


def _agreed() -> bool:
    """Ask on stderr, so that stdout stays the result."""
    import sys

    if not sys.stdin.isatty():
        return False
    print("Upload it? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
