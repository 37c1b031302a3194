"""Train models on every fold, score them on clips they have not seen, and predict the test clips."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, NamedTuple

from kagglekit.commands import names

if TYPE_CHECKING:
    from kagglekit.config import Config
    from kagglekit.training.plan import Plan

EXAMPLE = """example:
  $ kagglekit train --model tcresnet,gru
  tcresnet/1b107403f218: 4 folds, 164 s of training, 136,634 parameters, 5,120 clips/s
    CV 0.8712 (95 % 0.8590 to 0.8834), plain accuracy 0.9066
  next: kagglekit submit --ensemble tcresnet,gru"""


class Job(NamedTuple):
    """A run to be made."""

    config: Config
    plan: Plan
    source: str
    last: bool = True
    """Of the seeds that it is trained with."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--model", type=names, default=[], metavar="A,B", help="architectures, see README")
    what.add_argument(
        "--recipe",
        type=names,
        action="extend",
        default=[],
        metavar="NAME",
        help="shipped settings by name, or a file.yaml; repeatable; `list` shows them",
    )
    what.add_argument("--recipes", action="store_true", help="list the shipped recipes")
    parser.add_argument("--tuned", action="store_true", help="with the best parameters that `tune` found")
    parser.add_argument(
        "--seeds", type=int, default=1, metavar="N", help="train N times, to see what chance is worth (1)"
    )
    parser.add_argument(
        "--processes",
        type=int,
        default=None,
        metavar="N",
        help="share each batch of a fold among N processes",
    )
    parser.add_argument(
        "--only",
        type=names,
        default=[],
        metavar="A,B",
        help="train and score on clips of these classes alone",
    )


def run(args: argparse.Namespace) -> None:
    import json

    from kagglekit.commands import next_command, show_score
    from kagglekit.data.prepare import prepare
    from kagglekit.files.workspace import Workspace
    from kagglekit.runs.train import train_run
    from kagglekit.terminal import console

    if args.recipes or "list" in args.recipe:
        return list_recipes()
    overrides = [*args.set, f"train.only={json.dumps(args.only)}"] if args.only else args.set
    if args.processes is not None:
        overrides = [*overrides, f"processes={args.processes}"]
    results, lines, trained = [], [], []
    for job in with_seeds(jobs(args, overrides), args.seeds):
        workspace = Workspace(job.config)
        prepared = prepare(workspace)
        run = train_run(prepared, job.plan, source=job.source)
        results.append({**run.metrics, "folder": run.folder})
        lines += [describe_run(run), *show_score(run.score)]
        if job.last and args.seeds > 1:
            lines.append(over_seeds(run.model, [made["cv"] for made in results[-args.seeds :]]))
        trained += [] if job.plan.train.only else [run.model]
    lines.append(f"in {workspace.runs}")
    if trained:
        lines.append(next_command(args, f"submit --ensemble {','.join(dict.fromkeys(trained))}"))
    console.result({"runs": results}, lines)


def jobs(args: argparse.Namespace, overrides: list[str]) -> list[Job]:
    """What the options ask for, checked: a wrong name fails before work begins.

    Raises:
        ConfigError: they ask for what cannot be.
    """
    from pathlib import Path

    from kagglekit import recipes
    from kagglekit.config.load import load_config
    from kagglekit.data.prepare import prepare
    from kagglekit.errors import ConfigError
    from kagglekit.files.workspace import Workspace
    from kagglekit.training.plan import resolve

    path = Path(args.config) if args.config else None
    config = load_config(path, overrides)
    made = [Job(config, resolve(config, model), "recipe") for model in args.model]
    for recipe in map(recipes.load, args.recipe):
        own = recipes.configure(path, recipe, overrides)
        made.append(Job(own, resolve(own, recipe.model), recipe.source))
    if not args.tuned:
        return made
    if args.recipe:
        raise ConfigError("--tuned and --recipe both choose the settings", hint="leave one of them out")
    from kagglekit.search.study import best_plan

    workspace = Workspace(config)
    prepared = prepare(workspace)
    found = [best_plan(prepared, job.plan.model) for job in made]
    return [Job(own.config, plan, source) for own, plan, source in found]


def with_seeds(made: list[Job], seeds: int) -> list[Job]:
    """Each job with so many seeds, from its own on.

    Raises:
        ConfigError: none is asked for.
    """
    from dataclasses import replace

    from kagglekit.errors import ConfigError

    if seeds < 1:
        raise ConfigError(f"--seeds {seeds}: needed is at least 1", hint="for example --seeds 3")
    return [
        job._replace(
            plan=replace(job.plan, train=job.plan.train.model_copy(update={"seed": job.plan.train.seed + k})),
            last=k == seeds - 1,
        )
        for job in made
        for k in range(seeds)
    ]


def over_seeds(model: str, scores: list[float]) -> str:
    """What chance is worth: a gain of less than two of these standard deviations is none."""
    import statistics

    mean, spread = statistics.mean(scores), statistics.stdev(scores)
    return f"{model} over {len(scores)} seeds: CV {mean:.4f} ± {spread:.4f} (standard deviation)"


def list_recipes() -> None:
    """Show the shipped recipes."""
    from kagglekit import recipes
    from kagglekit.commands import table
    from kagglekit.terminal import console

    found = [recipes.load(name) for name in recipes.names()]
    rows = [[recipe.name, recipe.model, recipe.about, recipe.report] for recipe in found]
    shown = table("recipes", ["name", "model", "what it is", "in the report"], rows)
    console.result({"recipes": [recipe.model_dump() for recipe in found]}, [shown])


def describe_run(run: object) -> str:
    """What a run cost."""
    from kagglekit.runs.store import Run

    assert isinstance(run, Run)
    m = run.metrics
    return (
        f"{run.model}/{run.id}: {len(m['folds'])} folds, {m['train_seconds']:,.0f} s of training, "
        f"{m['parameters']:,} parameters, {m['clips_per_s']:,.0f} clips/s"
    )
