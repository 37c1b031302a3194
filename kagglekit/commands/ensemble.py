"""Compare every way to blend trained runs by nested cross-validation, and keep the one chosen, or named."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from kagglekit.commands import add_blend, add_names, next_if_sound, open_project, show_score
from kagglekit.terminal import console
from kagglekit.terminal.table import MOST_ROWS, ResultTable, first_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kagglekit.ensemble.blend import BlendedRuns
    from kagglekit.scoring.metrics import Metric

EXAMPLE = """example:
  $ kagglekit ensemble --model convs2s,gru,tcresnet
  method        OOF      95 %               over mean
  caruana       0.8912   0.8801 to 0.9023   +0.31 ± 0.12
  ...
  chosen: caruana, +0.31 ± 0.12 points over mean, more than 2 standard errors
  next: kagglekit submit --ensemble convs2s,gru,tcresnet --method caruana --decision none"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    about = (
        "models, each by its best run, or runs as model/id; all: every model (the default); runs: every run"
    )
    add_names(parser, "--model", about)
    add_blend(parser, "auto")


def run(args: argparse.Namespace) -> None:
    from kagglekit.ensemble.build import skipped_methods

    project = open_project(args)
    blend = project.ensemble(args.model, method=args.method, decision=args.decision)
    skipped = skipped_methods(project.prepared.task)
    console.result(
        {
            "name": blend.name,
            "weights": weights_of(blend),
            "method": blend.method,
            "decision": blend.decision,
            "rule": blend.rule,
            "smoothing": blend.smoothing,
            "joined": blend.joined,
            **{"methods": [], "smoothings": [], "decisions": []},
            **{f"{compared.what}s": compared.as_dict()["results"] for compared in blend.comparisons},
            **blend.score.as_dict(),
            "folder": blend.folder,
        },
        [
            *_comparison_tables(blend, project.metric),
            *([f"skipped: {', '.join(skipped)}: not for this metric"] if skipped else []),
            *members_table(blend),
            f"{blend.name}: {blend.choice}",
            *show_score(blend.score),
            f"in {blend.folder}",
            next_if_sound(project, blend.score, f"submit {same_again(blend, args.model)}"),
        ],
    )


def names_of(blend: BlendedRuns) -> list[str]:
    """Name each run by its model, or as model/id where a model has several."""
    models = [run.model for run in blend.runs]
    return [m if models.count(m) == 1 else f"{m}/{run.id}" for m, run in zip(models, blend.runs, strict=True)]


def same_again(blend: BlendedRuns, chosen: Sequence[str]) -> str:
    """Return the options of `submit` that name this ensemble; models that `chosen` names alone stay so."""
    by_id = any("/" in name or name == "runs" for name in chosen)
    members = [f"{run.model}/{run.id}" for run in blend.runs] if by_id else names_of(blend)
    return f"--ensemble {','.join(members)} --method {blend.method} --decision {blend.decision}"


def weights_of(blend: BlendedRuns) -> dict[str, float]:
    """Return the weight of each member."""
    return dict(zip(names_of(blend), blend.weights, strict=True))


def members_table(blend: BlendedRuns) -> list[object]:
    """Return the table of members with their weights and scores, unweighted where that is another score.

    Of many it has those with the highest weights.
    """
    from kagglekit.scoring.numerics import SAME

    weighted = any(abs(run.score.plain - run.score.oof) > SAME for run in blend.runs)
    rows: list[list[Any]] = [
        [run.model, run.id, float(weight), run.score.cv, *([run.score.plain] if weighted else [])]
        for run, weight in zip(blend.runs, blend.weights, strict=True)
    ]
    if len(rows) > MOST_ROWS:
        rows.sort(key=lambda row: -row[2])
    columns = ["model", "run", "weight", "CV", *(["unweighted"] if weighted else [])]
    return first_rows(ResultTable("members", columns, rows), "runs")


def _comparison_tables(blend: BlendedRuns, metric: Metric) -> list[object]:
    """Return the tables of methods, smoothings and decisions, each with its choice and the reason."""
    lines: list[object] = []
    for compared in blend.comparisons:
        what = compared.what
        parts = list(compared.results[0].parts)
        rows = [
            [
                one.name + " <" * (one.name == compared.chosen),
                one.accuracy,
                f"{one.low:.4f} to {one.high:.4f}",
                ""
                if one.name == compared.baseline
                else metric.points(one.gain, one.error).removesuffix(" points"),
                *(f"{one.parts[part]:.3f}" for part in parts),
            ]
            for one in compared.results
        ]
        columns = [what, "OOF", "95 %", f"over {compared.baseline}", *parts]
        lines += [
            ResultTable(f"{what}s, by nested CV", columns, rows),
            f"chosen: {compared.chosen}, {compared.why}",
        ]
    return lines
