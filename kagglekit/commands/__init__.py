"""The verbs, one file each: EXAMPLE, add_arguments, run. Only run imports heavy modules; help is instant."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kagglekit.errors import ConfigError, listed
from kagglekit.terminal import console

if TYPE_CHECKING:
    from kagglekit.project import Project
    from kagglekit.runs.store import Run
    from kagglekit.scoring.cv import Score

MOST_PARTS = 12  # scores of classes, and classes, that a line names

# --- options that several verbs share ---


def names(text: str) -> list[str]:
    """Split `a,b` into ["a", "b"], for argparse."""
    parts = [name.strip() for name in text.split(",") if name.strip()]
    if not parts:
        raise argparse.ArgumentTypeError("names nothing")
    return parts


def file_name(text: str) -> str:
    """Return a file's or a folder's name, for argparse; a shell variable that is not set leaves none."""
    if not text.strip():
        raise argparse.ArgumentTypeError("names no file")
    return text


def duration(text: str) -> float:
    """Read `90`, `90s`, `30m` or `2h` as seconds, for argparse."""
    unit = {"s": 1, "m": 60, "h": 3600}.get(text[-1:])
    try:
        seconds = float(text[:-1]) * unit if unit else float(text)
    except ValueError:
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds > 0):
        raise argparse.ArgumentTypeError(f"'{text}' is not a duration; write 90s, 30m or 2h")
    return seconds


def add_names(
    parser: argparse._ActionsContainer, option: str, about: str, metavar: str = "A,B", **more: Any
) -> None:
    """Add an option that takes names `a,b`; `more` are arguments of `add_argument`."""
    parser.add_argument(option, type=names, default=[], metavar=metavar, help=about, **more)


def add_count(
    parser: argparse._ActionsContainer, option: str, about: str, default: int | None = None
) -> None:
    """Add an option that takes a number N."""
    parser.add_argument(option, type=int, default=default, metavar="N", help=about)


def add_run(parser: argparse.ArgumentParser) -> None:
    """Add --model NAME and --run ID, which name a finished run."""
    parser.add_argument("--model", required=True, metavar="NAME", help="use its best run")
    parser.add_argument("--run", dest="run_id", metavar="ID", help="use this run instead")


def add_teachers(parser: argparse.ArgumentParser) -> None:
    """Add --teachers A,B and --model, the student."""
    add_names(parser, "--teachers", "models, or runs as model/id (all models)")
    parser.add_argument("--model", default="tcresnet", metavar="NAME", help="the student (tcresnet)")


def add_cluster(parser: argparse._ActionsContainer, about: str) -> None:
    """Add --cluster ADDRESS."""
    parser.add_argument("--cluster", metavar="ADDRESS", help=f"{about} on Ray: auto, ray://..., local")


def add_time_limit(parser: argparse._ActionsContainer, about: str) -> None:
    """Add --time-limit 30m."""
    parser.add_argument("--time-limit", type=duration, metavar="30m", help=about)


def add_blend(parser: argparse.ArgumentParser, default: str | None) -> None:
    """Add --method and --decision."""
    usual = default or "as competition.yaml says"
    parser.add_argument("--method", default=default, metavar="NAME", help=f"how to blend ({usual})")
    parser.add_argument("--decision", default=default, metavar="NAME", help=f"post-processing rule ({usual})")


def add_upload(parser: argparse.ArgumentParser) -> None:
    """Add --upload and --yes."""
    parser.add_argument("--upload", action="store_true", help="send the submission to the host")
    parser.add_argument("--yes", action="store_true", help="skip the confirmation prompt")


# --- helpers that several verbs share ---


def open_project(args: argparse.Namespace) -> Project:
    """Open the competition that the options name."""
    from kagglekit.project import Project

    args.project = project = Project(args.config, *args.set)
    _note_first_edition(project.path)
    return project


def _note_first_edition(path: Path | None) -> None:
    """Say how to rewrite a competition.yaml of the first edition, which is read as it is."""
    from kagglekit.config.first_edition import is_first_edition
    from kagglekit.config.load import DEFAULT_NAME
    from kagglekit.config.yaml_file import read_yaml

    path = path or Path(DEFAULT_NAME)
    try:
        _, sections = read_yaml(path)
    except ConfigError:  # shown where the project reads it
        return
    if is_first_edition({name: value for name, value in sections.items() if value is not None}):
        console.note(f"{path.name} is of the first edition; kagglekit init --upgrade {path} rewrites it")


def next_command(project: Project, command: str) -> str:
    """Return the line that names the next command."""
    return f"next: {project.command(command)}"


def next_if_sound(project: Project, score: Score | None, command: str) -> str:
    """Return the line that names the next command: the report, where the score raises an alarm."""
    return next_command(project, "report" if score is not None and score.constant else command)


def show_run(run: Run) -> list[str]:
    """Return lines with the cost and the score of a trained run."""
    m = run.metrics
    return [
        f"{run.model}/{run.id}: {len(m['folds'])} folds, {m['train_seconds']:,.0f} s of training, "
        f"{m['parameters']:,} parameters, {m['clips_per_s']:,.0f} clips/s",
        *show_score(run.score),
    ]


def show_score(score: Score) -> list[str]:
    """Return the lines that show a score."""
    from kagglekit.scoring.numerics import SAME
    from kagglekit.scoring.task import PARTS

    by_part = set(score.parts) <= set(PARTS)
    worst_first = (
        sorted(score.parts.items(), key=lambda part: part[1]) if len(score.parts) > MOST_PARTS else ()
    )
    parts = listed([f"{name} {value:.3f}" for name, value in worst_first or score.parts.items()], MOST_PARTS)
    weighted = abs(score.plain - score.oof) > SAME
    unweighted = f", unweighted {score.plain:.4f}" if by_part and weighted else ""
    official = "" if score.official is None else f", official validation list {score.official:.4f}"
    lines = [f"  CV {score.cv:.4f} (95 % {score.low:.4f} to {score.high:.4f}){unweighted}{official}"]
    if score.gain or score.shift:
        shift, gain = f"test shift {score.shift:+.3f}", f"fold-ensemble gain {score.gain:+.3f}"
        lines.append(f"  OOF {score.oof:.3f}, {shift}, {gain}")
    lines += [f"  {note}" for note in score.notes]
    if [*score.parts] != ["keyword"]:  # the only part, where no class is filler or silence
        order = ", the lowest first" if worst_first else ""
        lines.append(f"  by {'part' if by_part else 'class'}{order}: {parts}")
    if score.constant:
        lines.append(f"  {alarm(score)}; do not submit this alone")
    return lines


def alarm(score: Score) -> str:
    """Return the warning of classes that a run hardly ever, or always, predicts."""
    return f"ALARM: hardly ever predicts, or always predicts: {listed(score.constant, MOST_PARTS)}"
