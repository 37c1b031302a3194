"""One thin file a verb: EXAMPLE, add_arguments, run. Heavy imports stand inside run, so help is instant."""

from __future__ import annotations

import argparse
import math
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kagglekit.config import Config
    from kagglekit.files.workspace import Workspace
    from kagglekit.scoring.cv import Score
    from kagglekit.terminal.table import ResultTable


def open_workspace(args: argparse.Namespace) -> tuple[Config, Workspace]:
    """The competition that the options name."""
    from kagglekit.config.load import load_config
    from kagglekit.files.workspace import Workspace

    config = load_config(Path(args.config) if args.config else None, args.set)
    return config, Workspace(config)


def one_label_only(config: Config, verb: str) -> None:
    """Refuse a verb that is about right and wrong answers, where a clip may have several.

    Raises:
        ConfigError: it may.
    """
    from kagglekit.errors import ConfigError

    if config.separator is not None:
        raise ConfigError(
            f"{verb} is about clips with one label each, and these may have several",
            hint="cv, ensemble, submit and report know competition.metric " + config.competition.metric,
        )


def command_line(args: argparse.Namespace, command: str = "") -> str:
    """`kagglekit ...` with the options this call was given."""
    options = ["-C", args.config] if args.config else []
    options += [word for setting in args.set for word in ("--set", setting)]
    return " ".join(["kagglekit", *map(shlex.quote, options), command]).rstrip()


def next_command(args: argparse.Namespace, command: str) -> str:
    """The line that says how to go on."""
    return f"next: {command_line(args, command)}"


def names(text: str) -> list[str]:
    """`a,b` -> ["a", "b"], for argparse."""
    found = [name.strip() for name in text.split(",") if name.strip()]
    if not found:
        raise argparse.ArgumentTypeError("names no model")
    return found


def duration(text: str) -> float:
    """`90`, `90s`, `30m`, `2h` -> seconds, for argparse."""
    unit = {"s": 1, "m": 60, "h": 3600}.get(text[-1:])
    try:
        seconds = float(text[:-1]) * unit if unit else float(text)
    except ValueError:
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds > 0):
        raise argparse.ArgumentTypeError(f"'{text}' is no time; write 90s, 30m or 2h")
    return seconds


def show_score(score: Score) -> list[str]:
    """A score in lines."""
    from kagglekit.scoring.task import PARTS

    parts = ", ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in score.parts.items())
    official = "" if score.official is None else f", official validation list {score.official:.4f}"
    lines = [
        f"  CV {score.cv:.4f} (95 % {score.low:.4f} to {score.high:.4f}), plain {score.plain:.4f}{official}",
        f"  by {'part' if set(score.parts) <= set(PARTS) else 'class'}: {parts}",
    ]
    if score.gain or score.shift:
        lines.insert(
            1,
            f"  of it {score.oof:.4f} by OOF, {score.shift:+.4f} as test clips look harder or easier, "
            f"{score.gain:+.4f} by averaging the folds' models",
        )
    if score.constant:
        classes = ", ".join(score.constant)
        lines.append(
            f"  ALARM: hardly ever predicts, or always predicts: {classes}; do not submit this alone"
        )
    return lines


def table(title: str, columns: list[str], rows: list[list[Any]]) -> ResultTable:
    """Return a table for `console.result`."""
    from kagglekit.terminal.table import ResultTable

    return ResultTable(title, columns, rows)
