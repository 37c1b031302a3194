"""Blend models, write the submission and check it; with --upload ask, send it, and wait for the score."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kagglekit.commands import (
    add_blend,
    add_names,
    add_upload,
    file_name,
    next_command,
    next_if_sound,
    open_project,
    show_score,
)
from kagglekit.commands.ensemble import members_table, same_again, weights_of
from kagglekit.errors import ConfigError
from kagglekit.terminal import console

if TYPE_CHECKING:
    from kagglekit.config.competition import Competition
    from kagglekit.notebooks.folder import Built
    from kagglekit.project import Project
    from kagglekit.project.results import SubmissionResult
    from kagglekit.submission.ledger import Entry

MOVES = 6  # kinds of change that are named
CLASSES = 12  # whose rows are counted in a line
EXAMPLE = """example:
  $ kagglekit submit --ensemble ast,wav2vec2 --upload
  submissions/20261122-101500_ast+wav2vec2_0.9312.csv: 158,538 rows, CV 0.9312
  verdict on the validation: trust: test clips differ from training clips no more than folds do
  Upload it? [y/N] y
  sent as 51234567: public 0.92811, private not shown yet, CV 0.9312"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    source = parser.add_mutually_exclusive_group()
    add_names(source, "--ensemble", "models, or runs as model/id; all trained models by default")
    source.add_argument("--best", action="store_true", help="the best by nested CV of all that is trained")
    source.add_argument("--file", metavar="CSV", type=file_name, help="submit an existing CSV")
    source.add_argument(
        "--notebook", metavar="FOLDER", type=file_name, help="submit a built notebook (notebook build)"
    )
    add_blend(parser, None)
    parser.add_argument("--dry-run", action="store_true", help="show it; write and send nothing")
    parser.add_argument(
        "--out", metavar="CSV", type=file_name, help="write it to this file, too, such as submission.csv"
    )
    add_upload(parser)
    parser.add_argument("--force", action="store_true", help="even if the same bytes were sent before")
    parser.add_argument(
        "--wait", action=argparse.BooleanOptionalAction, default=True, help="wait for the score (the default)"
    )
    parser.add_argument("--message", help="submission description")


def run(args: argparse.Namespace) -> None:
    project = open_project(args)
    prompt = Prompt(project, args.yes)
    if args.notebook:
        _submit_notebook(args, project, prompt)
        return
    submission = project.submit(
        args.ensemble,
        best=args.best,
        file=args.file,
        method=args.method,
        decision=args.decision,
        dry_run=args.dry_run,
        out=args.out,
        upload=args.upload,
        force=args.force,
        wait=args.wait,
        message=args.message,
        preview=prompt.preview,
        confirm=prompt.ask,
    )
    chosen = ["runs"] if args.best else args.ensemble
    show_result(project, submission, chosen, uploaded=args.upload, file=args.file, out=args.out)


def _submit_notebook(args: argparse.Namespace, project: Project, prompt: Prompt) -> None:
    """Submit a built folder, to which the options of blends do not apply."""
    others = {
        "--method": args.method,
        "--decision": args.decision,
        "--dry-run": args.dry_run,
        "--out": args.out,
    }
    if wrong := [name for name, value in others.items() if value]:
        raise ConfigError(
            f"{' and '.join(wrong)} cannot be given with --notebook, whose folder is built already",
            hint="leave out what does not apply: without --upload, --notebook sends nothing either",
        )
    submission = project.submit_notebook(
        args.notebook,
        upload=args.upload,
        force=args.force,
        wait=args.wait,
        message=args.message,
        preview=prompt.preview,
        confirm=prompt.ask,
    )
    show_result(project, submission, [], uploaded=args.upload, notebook=args.notebook)


class Prompt:
    """Show a submission before it is sent, and ask."""

    def __init__(self, project: Project, yes: bool, question: str = "Upload it?") -> None:
        self.project, self.yes, self.question = project, yes, question

    def preview(self, submission: SubmissionResult) -> None:
        """Show the members, rows, score and forecast of the submission."""
        console.show([*_described(self.project, submission), *_forecast(submission)])

    def ask(self, notes: Sequence[str]) -> bool:
        """Show the host's notes and ask on stderr, so that stdout stays the result."""
        console.show([f"  {note}" for note in notes])
        if self.yes or not sys.stdin.isatty():
            return self.yes
        print(f"{self.question} [y/N] ", end="", file=sys.stderr, flush=True)
        return sys.stdin.readline().strip().lower() in ("y", "yes")


def show_result(
    project: Project,
    submission: SubmissionResult,
    chosen: Sequence[str],
    *,
    uploaded: bool,
    file: str | None = None,
    notebook: str | None = None,
    out: str | None = None,
) -> None:
    """Show how a submission ended, and the command that follows."""
    blend, entry = submission.ensemble, submission.entry
    lines: list[object] = [f"written to {out}"] if out else []
    if out and entry is None:
        lines += [f"  {warning}" for warning in submission.warnings]
    elif entry is None and notebook is None:
        lines.append("nothing was written (--dry-run)")
    elif uploaded and entry is not None:
        scores = _scores(entry, project.config.competition)
        lines.append(f"sent {'before ' * submission.skipped}as {entry.ref}: {scores}")
    existing = f"--notebook {shlex.quote(notebook)}" if notebook else f"--file {shlex.quote(file or '')}"
    options = same_again(blend, chosen) if blend else existing
    score = None if blend is None else blend.score
    if uploaded:
        lines.append(next_command(project, "leaderboard"))
    elif not out:
        lines.append(next_if_sound(project, score, f"submit {options} --upload"))
    console.result(_data(submission) | ({"out": out} if out else {}), lines)


def _data(submission: SubmissionResult) -> dict[str, Any]:
    """Return the submission as a JSON-serialisable dict."""
    blend, entry = submission.ensemble, submission.entry
    data: dict[str, Any] = {"csv": submission.path, "rows": len(submission.frame)}
    data["cv"] = entry.cv_score if entry else blend and blend.score.cv
    data["weights"] = weights_of(blend) if blend else {}
    if blend:
        data |= {"method": blend.method, "decision": blend.decision, "rule": blend.rule}
    for name in ("change", "expected", "standing"):
        if (value := getattr(submission, name)) is not None:
            data[name] = value._asdict()
    data["verdict"] = submission.verdict and submission.verdict.as_dict()
    if entry:
        data |= {name: getattr(entry, name) for name in ("status", "ref", "public", "private")}
    return {**data, "warnings": submission.warnings}


def _described(project: Project, submission: SubmissionResult) -> list[object]:
    """Describe the members, the score, the file and the class balance."""
    lines: list[object] = []
    if blend := submission.ensemble:
        lines += [*members_table(blend), f"{blend.name}: {blend.choice}"]
        lines += show_score(blend.score)
    if built := submission.notebook:
        lines += _notebook(built)
    if entry := submission.entry:
        cv = "" if entry.cv_score is None else f", CV {entry.cv_score:.4f}"
        lines.append(f"{submission.path}: {len(submission.frame):,} rows{cv}")
    if len(submission.frame):
        lines += _balance(project, submission)
    return lines + [f"  warning: {text}" for text in submission.warnings]


def _notebook(built: Built) -> list[object]:
    """Describe a built notebook and its rehearsal."""
    record, rehearsal = built.record, built.rehearsal()
    cv = record.facts.get("cv_score")
    score = f", CV {cv:.4f}" if isinstance(cv, int | float) else ""
    lines = [f"{built.path}: {record.blend or 'a notebook'}, {record.bytes / 1e6:,.1f} MB{score}"]
    if rehearsal is not None:
        lines.append(
            f"  rehearsed: {rehearsal.minutes:.0f} of {rehearsal.limit:.0f} minutes expected for "
            f"{rehearsal.recordings:,} recordings"
        )
    return [*lines]


def _balance(project: Project, submission: SubmissionResult) -> list[str]:
    """Return a line with the rows of each class; of many classes, the most common."""
    from kagglekit.scoring.shapes import Shape
    from kagglekit.submission.table import answered

    try:
        balance = answered(submission.frame, Shape.of(project.workspace.resolved().config))
    except ValueError:  # an existing CSV that the host may take all the same
        return []
    shown = balance if len(balance) <= CLASSES else sorted(balance, key=lambda row: -row[1])[:CLASSES]
    labels = ", ".join(f"{label} {count:,} ({share:.1%})" for label, count, share in shown)
    more = f", and {len(balance) - len(shown):,} more classes" if len(shown) < len(balance) else ""
    return [f"  labels: {labels}{more}"]


def _forecast(submission: SubmissionResult) -> list[object]:
    """Describe the differences from the last submission, the expected score and rank, and the verdict."""
    lines: list[object] = []
    if (change := submission.change) is not None:
        moves = ", ".join(f"{before} to {after} {count:,}" for before, after, count in change.moves[:MOVES])
        more = ", ..." * (len(change.moves) > MOVES)
        differ = "1 row differs" if change.rows == 1 else f"{change.rows:,} rows differ"
        lines.append(f"  {differ} from {change.csv}{': ' * bool(moves)}{moves}{more}")
    if (score := submission.expected) is not None:
        text = f"  expected public score {score.score:.4f} (95 % {score.low:.4f} to {score.high:.4f})"
        if (place := submission.standing) is not None:
            medal = f", {place.zone}" if place.zone else ""
            text += f", rank {place.rank} of {place.teams} ({place.best} to {place.worst}){medal}"
        lines.append(text)
    if (verdict := submission.verdict) is not None:
        lines.append(f"  verdict on the validation: {verdict.sentence}")
    return lines


def _scores(entry: Entry, competition: Competition) -> str:
    """Format scores: `public 0.92811, private not shown yet, CV 0.9312`.

    A local host without a deadline shows all scores; one that is not there has no rows in the solution.
    """
    if entry.status != "COMPLETE":
        return "not scored yet"
    later = competition.local is None or competition.local.deadline is not None
    scores = {"public": entry.public, "private": entry.private}
    shown = [
        f"{name} not shown yet" if score is None else f"{name} {score:.5f}"
        for name, score in scores.items()
        if score is not None or later
    ]
    return ", ".join(shown + ([] if entry.cv_score is None else [f"CV {entry.cv_score:.4f}"]))
