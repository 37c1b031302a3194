"""Train models on every fold, score them on clips they have not seen, and predict the test clips."""

from __future__ import annotations

import argparse

from kagglekit.commands import names

EXAMPLE = """example:
  $ kagglekit train --model tcresnet,gru
  tcresnet/1b107403f218: 4 folds in 164 s, 136,634 parameters, 5,120 clips/s
    CV 0.8712 (95 % 0.8590 to 0.8834), plain accuracy 0.9066
  next: kagglekit submit --ensemble tcresnet,gru"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=names, required=True, metavar="A,B", help="architectures, see README")
    parser.add_argument("--tuned", action="store_true", help="with the best parameters that `tune` found")


def run(args: argparse.Namespace) -> None:
    from kagglekit import console
    from kagglekit.commands import next_command, open_workspace, show_score
    from kagglekit.data.prepare import prepare
    from kagglekit.training.plan import resolve
    from kagglekit.training.run import train_run

    config, workspace = open_workspace(args)
    plans = {model: resolve(config, model) for model in args.model}  # a wrong name fails before work begins
    prepared = prepare(config, workspace)
    results, lines = [], []
    for model, recipe in plans.items():
        plan, source = recipe, "recipe"
        if args.tuned:
            from kagglekit.search.study import best_plan

            plan, source = best_plan(config, workspace, prepared, model)
        run = train_run(config, workspace, prepared, plan, source=source)
        results.append({**run.metrics, "folder": run.folder})
        lines += [describe_run(run), *show_score(run.score)]
    lines += [f"in {workspace.runs}", next_command(args, f"submit --ensemble {','.join(plans)}")]
    console.result({"runs": results}, lines)


def describe_run(run: object) -> str:
    """What a run cost."""
    from kagglekit.training.runs import Run

    assert isinstance(run, Run)
    m = run.metrics
    return (
        f"{run.model}/{run.id}: {len(m['folds'])} folds in {m['train_seconds']:.0f} s, "
        f"{m['parameters']:,} parameters, {m['clips_per_s']:,.0f} clips/s"
    )
