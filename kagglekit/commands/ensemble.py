"""Blend the best runs of several models: weights chosen on OOF, the score on folds that did not choose."""

from __future__ import annotations

import argparse

from kagglekit.commands import names

EXAMPLE = """example:
  $ kagglekit ensemble --models convs2s,gru,tcresnet
  convs2s+gru+tcresnet: CV 0.9012 (95 % 0.8901 to 0.9123)
  next: kagglekit submit --ensemble convs2s,gru,tcresnet"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--models", type=names, default=None, metavar="A,B", help="all trained ones by default"
    )


def run(args: argparse.Namespace) -> None:
    from kagglekit import console
    from kagglekit.commands import best_runs, next_command, open_workspace, show_score
    from kagglekit.data.prepare import prepare
    from kagglekit.ensemble.build import build

    config, workspace = open_workspace(args)
    prepared = prepare(config, workspace)
    runs = best_runs(config, workspace, prepared, args.models)
    made = build(config, workspace, prepared, runs)
    console.result(
        {"name": made.name, "weights": weights_of(made), **made.score.as_dict(), "folder": made.folder},
        [
            members_table(made),
            f"{made.name}:",
            *show_score(made.score),
            f"in {made.folder}",
            next_command(args, f"submit --ensemble {','.join(run.model for run in runs)}"),
        ],
    )


def weights_of(made: object) -> dict[str, float]:
    """Weight of each member."""
    from kagglekit.ensemble.build import Ensemble

    assert isinstance(made, Ensemble)
    return {run.model: weight for run, weight in zip(made.runs, made.weights, strict=True)}


def members_table(made: object) -> object:
    """Each member with its weight and its own score."""
    from kagglekit.commands import table
    from kagglekit.ensemble.build import Ensemble

    assert isinstance(made, Ensemble)
    rows = [
        [run.model, run.id, float(weight), run.score.cv, run.score.plain]
        for run, weight in zip(made.runs, made.weights, strict=True)
    ]
    return table("members", ["model", "run", "weight", "CV", "plain"], rows)
