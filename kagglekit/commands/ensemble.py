"""Compare every way to blend trained runs on folds that had no say, and keep the one chosen, or named."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from kagglekit.commands import names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kagglekit.ensemble.blend import BlendedRuns
    from kagglekit.runs.store import Run

EXAMPLE = """example:
  $ kagglekit ensemble --models convs2s,gru,tcresnet
  method        OOF      95 %               over mean
  caruana       0.8912   0.8801 to 0.9023   +0.31 ± 0.12
  ...
  chosen: caruana, +0.31 ± 0.12 points over mean, more than 2 standard errors
  next: kagglekit submit --ensemble convs2s,gru,tcresnet --method caruana --decision none"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--models",
        type=names,
        default=None,
        metavar="A,B",
        help="models, each by its best run, or runs as model/id; all: every model (the default); "
        "runs: every run",
    )
    add_choices(parser, "auto")


def add_choices(parser: argparse.ArgumentParser, default: str | None) -> None:
    """--method and --decision."""
    usual = default or "as competition.yaml says"
    parser.add_argument(
        "--method", default=default, metavar="NAME", help=f"how to blend, a name of the table ({usual})"
    )
    parser.add_argument(
        "--decision",
        default=default,
        metavar="NAME",
        help=f"what is done before the argmax, a name of the second table ({usual})",
    )


def run(args: argparse.Namespace) -> None:
    from kagglekit.commands import next_command, open_workspace, show_score
    from kagglekit.data.prepare import prepare
    from kagglekit.ensemble.build import build, skipped_methods
    from kagglekit.runs.store import best_runs
    from kagglekit.terminal import console

    _config, workspace = open_workspace(args)
    check_choices(args)
    prepared = prepare(workspace)
    runs = best_runs(prepared, args.models)
    made = build(prepared, runs, args.method, args.decision)
    skipped = skipped_methods(prepared.task)
    console.result(
        {
            "name": made.name,
            "weights": weights_of(made),
            "method": made.method,
            "decision": made.decision,
            "methods": [one.as_dict() for one in made.comparisons[0].results],
            "decisions": [one.as_dict() for compared in made.comparisons[1:] for one in compared.results],
            **made.score.as_dict(),
            "folder": made.folder,
        },
        [
            *comparison_tables(made),
            *([f"skipped: {', '.join(skipped)}, which need one label per clip"] if skipped else []),
            members_table(made),
            f"{made.name}: {made.method}, decision {made.decision}",
            *show_score(made.score),
            f"in {made.folder}",
            next_command(args, f"submit --ensemble {members_of(runs, args.models)} {choices_of(made)}"),
        ],
    )


def check_choices(args: argparse.Namespace) -> None:
    """Refuse a wrong --method or --decision before work begins.

    Raises:
        ConfigError: there is none of that name.
    """
    from kagglekit.config import AUTO
    from kagglekit.ensemble.decisions import DECISIONS
    from kagglekit.ensemble.methods import METHODS
    from kagglekit.errors import ConfigError, close_match

    for what, known in (("method", METHODS), ("decision", DECISIONS)):
        name = getattr(args, what)
        if name is not None and name not in (AUTO, *known):
            raise ConfigError(f"there is no {what} '{name}'", hint=close_match(name, (AUTO, *known)))


def names_of(runs: Sequence[Run]) -> list[str]:
    """A short name for each run: its model's, and model/id where a model has several."""
    models = [run.model for run in runs]
    return [m if models.count(m) == 1 else f"{m}/{run.id}" for m, run in zip(models, runs, strict=True)]


def members_of(runs: Sequence[Run], asked: Sequence[str] | None) -> str:
    """Names for --ensemble that mean these runs.

    Args:
        runs: the members.
        asked: what the options named; models by name alone are told so, since each means its best run.
    """
    by_name = asked is None or not any("/" in name or name == "runs" for name in asked)
    return ",".join(names_of(runs) if by_name else (f"{run.model}/{run.id}" for run in runs))


def choices_of(made: BlendedRuns) -> str:
    """The options that make the same ensemble again."""
    return f"--method {made.method} --decision {made.decision}"


def weights_of(made: BlendedRuns) -> dict[str, float]:
    """Weight of each member."""
    return dict(zip(names_of(made.runs), made.weights, strict=True))


def members_table(made: BlendedRuns) -> object:
    """Each member with its weight and its own score."""
    from kagglekit.commands import table

    rows = [
        [run.model, run.id, float(weight), run.score.cv, run.score.plain]
        for run, weight in zip(made.runs, made.weights, strict=True)
    ]
    return table("members", ["model", "run", "weight", "CV", "plain"], rows)


def comparison_tables(made: BlendedRuns) -> list[object]:
    """The compared methods and decisions, with what was chosen and why."""
    from kagglekit.commands import table

    lines: list[object] = []
    for compared, what in zip(made.comparisons, ("method", "decision"), strict=False):
        parts = list(compared.results[0].parts)
        rows = [
            [
                one.name + " <" * (one.name == compared.chosen),
                one.accuracy,
                f"{one.low:.4f} to {one.high:.4f}",
                "" if one.name == compared.baseline else f"{100 * one.gain:+.2f} ± {100 * one.error:.2f}",
                *(f"{one.parts[part]:.3f}" for part in parts),
            ]
            for one in compared.results
        ]
        columns = [what, "OOF", "95 %", f"over {compared.baseline}", *parts]
        lines += [
            table(f"{what}s, by nested CV", columns, rows),
            f"chosen: {compared.chosen}, {compared.why}",
        ]
    return lines
