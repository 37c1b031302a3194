"""Train the recipes of the report that this project began with, or others, one after the other, and compare.

What is trained already is not trained again. A recipe that fails, by a loss that explodes or for want of a
checkpoint, is a row of the table with its reason. Nothing is submitted.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from kagglekit.commands import duration, names

if TYPE_CHECKING:
    from kagglekit.recipes import Recipe
    from kagglekit.runs.store import Run

EXAMPLE = """example:
  $ kagglekit reproduce --recipes gru,ast_12 --time-limit 40m
  recipe   model       cv    plain   constant   public   minutes   report      error
  gru      gru     0.8634   0.8863              0.8850      10.7
  ast_12   ast                                                     97.7 % ...   checkpoint 'MIT...'..."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--recipes",
        type=names,
        default=[],
        metavar="A,B",
        help="which, or all; else the report's thirteen",
    )
    parser.add_argument("--epochs", type=int, default=None, metavar="N", help="of every training")
    parser.add_argument(
        "--time-limit", type=duration, default=None, metavar="30m", help="begin no training later"
    )


def run(args: argparse.Namespace) -> None:
    import time

    from kagglekit import recipes
    from kagglekit.commands import open_workspace, table
    from kagglekit.data.prepare import prepare
    from kagglekit.errors import ConfigError
    from kagglekit.terminal import console

    if args.epochs is not None and args.epochs < 1:
        raise ConfigError(f"--epochs {args.epochs}: needed is at least 1", hint="for example --epochs 3")
    deadline = time.monotonic() + args.time_limit if args.time_limit else None
    _config, workspace = open_workspace(args)
    shipped = [recipes.load(name) for name in recipes.names()]
    if not args.recipes:
        chosen = [recipe for recipe in shipped if recipe.report]
    else:
        chosen = shipped if args.recipes == ["all"] else [recipes.load(name) for name in args.recipes]
    prepare(workspace)  # a failure here is not one recipe's
    rows = []
    for number, recipe in enumerate(chosen, start=1):
        console.note(f"{number}/{len(chosen)} {recipe.name}: {recipe.about}")
        if deadline is not None and time.monotonic() > deadline:
            rows.append(row_of(recipe, error="not begun: out of time"))
        else:
            rows.append(reproduce(args, recipe))
    shown = [
        [f"{cell:.1f}" if name == "minutes" and cell is not None else cell for name, cell in row.items()]
        for row in rows
    ]
    console.result({"recipes": rows}, [table("recipes", [*rows[0]], shown)])


def reproduce(args: argparse.Namespace, recipe: Recipe) -> dict[str, Any]:
    """Train a recipe on every fold; its row, whatever comes of it."""
    from pathlib import Path

    from kagglekit import recipes
    from kagglekit.data.prepare import prepare
    from kagglekit.errors import KagglekitError
    from kagglekit.files.workspace import Workspace
    from kagglekit.runs.train import train_run
    from kagglekit.submission.ledger import Ledger, host_name
    from kagglekit.training.plan import resolve, with_epochs

    try:
        config = recipes.configure(Path(args.config) if args.config else None, recipe, args.set)
        plan = resolve(config, recipe.model)
        if args.epochs is not None:
            plan = with_epochs(plan, args.epochs)
        workspace = Workspace(config)
        run = train_run(prepare(workspace), plan, source=recipe.source)
    except (KagglekitError, RuntimeError) as error:  # RuntimeError is what torch raises
        return row_of(recipe, error=next(iter(str(error).splitlines()), type(error).__name__))
    entries = Ledger(workspace.ledger_path).entries()
    own = (host_name(config), [run.model], [run.id])
    alone = [entry for entry in entries if (entry.host, entry.models, entry.runs) == own]
    public = [entry.public for entry in alone if entry.public is not None]
    return row_of(recipe, run, public[-1] if public else None)


def row_of(
    recipe: Recipe, run: Run | None = None, public: float | None = None, error: str | None = None
) -> dict[str, Any]:
    """A line of the table; `constant` are the classes that the alarm is about."""
    score = run and run.score
    return {
        "recipe": recipe.name,
        "model": run.model if run else recipe.model,
        "cv": score and score.cv,
        "plain": score and score.plain,
        "constant": ", ".join(score.constant) if score else None,
        "public": public,
        "minutes": round(run.metrics["train_seconds"] / 60, 1) if run else None,
        "report": recipe.report,
        "error": error,
    }
