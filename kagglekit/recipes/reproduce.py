"""Train recipes one after the other, and compare their scores in a table."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kagglekit import recipes
from kagglekit.config.load import load_config
from kagglekit.data.prepare import prepare
from kagglekit.errors import ConfigError, KagglekitError
from kagglekit.files.workspace import Workspace
from kagglekit.recipes import Recipe
from kagglekit.runs.store import Run
from kagglekit.runs.train import train_run
from kagglekit.submission.ledger import Ledger, host_name
from kagglekit.terminal import console
from kagglekit.training.plan import resolve, with_epochs


def reproduce(
    path: Path | None,
    settings: Sequence[str],
    names: Sequence[str],
    epochs: int | None = None,
    time_limit: float | None = None,
) -> list[dict[str, Any]]:
    """Train recipes that are not trained yet, and return a row (see `_row`) for each, also for a failure.

    Args:
        settings: overrides `a.b=value` of competition.yaml and of the recipes.
        names: recipes, or `all`; empty for those of docs/report.md.
        epochs: epochs of every training; None: the recipe's.
        time_limit: seconds after which no training begins.
    """
    if epochs is not None and epochs < 1:
        raise ConfigError(f"--epochs {epochs}: must be at least 1", hint="for example --epochs 3")
    deadline = None if time_limit is None else time.monotonic() + time_limit
    config = load_config(path, settings)
    everything = list(names) in ([], ["all"])
    chosen = [recipes.load(name) for name in (recipes.names() if everything else names)]
    if not names:
        chosen = [recipe for recipe in chosen if recipe.report]
    prepare(Workspace(config))  # a failure here concerns all recipes
    rows = []
    for number, recipe in enumerate(chosen, start=1):
        console.note(f"{number}/{len(chosen)} {recipe.name}: {recipe.about}")
        if deadline is not None and time.monotonic() > deadline:
            rows.append(_row(recipe, error="skipped: the time limit has passed"))
        else:
            rows.append(_train(path, settings, recipe, epochs))
    return rows


def _train(path: Path | None, settings: Sequence[str], recipe: Recipe, epochs: int | None) -> dict[str, Any]:
    """Train a recipe on every fold, and return its row, also where it fails."""
    try:
        config = recipes.configure(path, recipe, settings)
        plan = resolve(config, recipe.model)
        if epochs is not None:
            plan = with_epochs(plan, epochs)
        run = train_run(prepare(Workspace(config)), plan, source=recipe.source)
    except (KagglekitError, RuntimeError) as error:  # torch raises RuntimeError
        return _row(recipe, error=next(iter(str(error).splitlines()), type(error).__name__))
    entries = Ledger(Workspace(config).ledger_path).entries()
    alone = (host_name(config), [run.model], [run.id])
    public = [entry.public for entry in entries if (entry.host, entry.models, entry.runs) == alone]
    return _row(recipe, run, next((score for score in reversed(public) if score is not None), None))


def _row(
    recipe: Recipe, run: Run | None = None, public: float | None = None, error: str | None = None
) -> dict[str, Any]:
    """Return a row of the table; `constant` are classes that are always or hardly ever predicted."""
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
