"""Compare every way to blend trained runs on folds that had no say, and keep the one chosen, or named."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from kagglekit.commands import names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kagglekit.ensemble.blend import Ensemble
    from kagglekit.ensemble.nested_cv import Table
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
    from kagglekit.ensemble.build import build
    from kagglekit.ensemble.multilabel import LEFT_OUT, WHY_LEFT_OUT
    from kagglekit.runs.store import best_runs
    from kagglekit.terminal import console

    config, workspace = open_workspace(args)
    check_choices(args)
    prepared = prepare(workspace)
    runs = best_runs(prepared, args.models)
    made = build(prepared, runs, args.method, args.decision)
    pairs = list(zip(made.tables, made.by_part, strict=True))
    console.result(
        {
            "name": made.name,
            "weights": weights_of(made),
            "method": made.method,
            "decision": made.decision,
            "methods": _rows(*pairs[0]),
            "decisions": [row for pair in pairs[1:] for row in _rows(*pair)],
            **made.score.as_dict(),
            "folder": made.folder,
        },
        [
            *lab_tables(made),
            *([f"left out: {', '.join(LEFT_OUT)}, which {WHY_LEFT_OUT}"] if config.separator else []),
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


def choices_of(made: Ensemble) -> str:
    """The options that make the same ensemble again."""
    return f"--method {made.method} --decision {made.decision}"


def weights_of(made: Ensemble) -> dict[str, float]:
    """Weight of each member."""
    return dict(zip(names_of(made.runs), made.weights, strict=True))


def members_table(made: Ensemble) -> object:
    """Each member with its weight and its own score."""
    from kagglekit.commands import table

    rows = [
        [run.model, run.id, float(weight), run.score.cv, run.score.plain]
        for run, weight in zip(made.runs, made.weights, strict=True)
    ]
    return table("members", ["model", "run", "weight", "CV", "plain"], rows)


def lab_tables(made: Ensemble) -> list[object]:
    """What was judged, and why what is taken was taken."""
    from kagglekit.commands import table

    lines: list[object] = []
    for judged, by_part, what in zip(made.tables, made.by_part, ("method", "decision"), strict=False):
        parts = list(next(iter(by_part.values())))
        rows = [
            [
                one.name + " <" * (one.name == judged.chosen),
                one.accuracy,
                f"{one.low:.4f} to {one.high:.4f}",
                "" if one.name == judged.plain else f"{100 * one.gain:+.2f} ± {100 * one.error:.2f}",
                *(f"{by_part[one.name][part]:.3f}" for part in parts),
            ]
            for one in judged.judged
        ]
        columns = [what, "OOF", "95 %", f"over {judged.plain}", *(part.replace("_", " ") for part in parts)]
        lines += [table(f"{what}s, nested by fold", columns, rows), f"chosen: {judged.chosen}, {judged.why}"]
    return lines


def _rows(judged: Table, by_part: dict[str, dict[str, float]]) -> list[dict[str, Any]]:
    """For JSON."""
    kept = ("name", "accuracy", "low", "high", "gain", "error")
    return [
        {**{name: getattr(one, name) for name in kept}, "parts": by_part[one.name]} for one in judged.judged
    ]
