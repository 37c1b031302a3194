"""All stages in a row, fitted into a time limit."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path

from kagglekit.data.prepare import Prepared, prepare
from kagglekit.errors import KagglekitError
from kagglekit.files.atomic import write_json
from kagglekit.files.keys import key_of
from kagglekit.files.workspace import Workspace
from kagglekit.parallel.processes import cores
from kagglekit.runs.folds import processes_for
from kagglekit.runs.setup import head_for, make_dataset
from kagglekit.runs.store import Run
from kagglekit.runs.train import run_id, train_run
from kagglekit.terminal import console
from kagglekit.training.loop import Fold, seconds_per_epoch
from kagglekit.training.plan import Plan, resolve, with_epochs
from kagglekit.training.predict import threads

TRAINING_SHARE = 0.8  # of the time left; the rest is for evaluation, prediction and the ensemble
SEARCH_SHARE = 0.25  # of a model's share of the time; the rest trains what the search found
CROWDED = 1.25  # what a step takes beside other processes, measured alone (docs/LOG.md)
LEAST_EPOCHS = 3  # a model trained for less is worth nothing


class Clock:
    """Time since the command began, and how much is left.

    Args:
        limit: seconds, or None for as long as it takes.
    """

    def __init__(self, limit: float | None) -> None:
        self.limit = limit
        self.started = time.monotonic()

    def left(self) -> float | None:
        """Seconds left, or None."""
        return None if self.limit is None else max(self.limit - (time.monotonic() - self.started), 0.0)

    def deadline(self, share: float) -> float | None:
        """time.monotonic() after which a share of what is left is used up."""
        left = self.left()
        return None if left is None else time.monotonic() + share * left


def train_models(workspace: Workspace, models: Sequence[str], clock: Clock, *, trials: int = 0) -> list[Run]:
    """Prepare, then train each model; with a limit, for as many epochs as its share of the time allows.

    Args:
        workspace: the competition, fetched.
        models: architectures, the most important first: a short limit leaves out the last.
        clock: the time limit.
        trials: search each model's parameters first, with so many trials.

    Raises:
        KagglekitError: the limit is too short for a single model.
    """
    plans = {model: resolve(workspace.config, model) for model in models}
    prepared = prepare(workspace)
    runs: list[Run] = []
    for index, (model, recipe) in enumerate(plans.items()):
        own, plan, source = prepared, recipe, "recipe"
        share = 1 / (len(plans) - index)
        if trials:
            own, plan, source = _searched(prepared, model, trials, clock.deadline(SEARCH_SHARE * share))
        choice = _remembered(workspace, plan, run_id(own, plan), clock)
        if choice.is_file():
            fitted: Plan | None = with_epochs(plan, int(json.loads(choice.read_text(encoding="utf-8"))))
        else:
            fitted = _fit(own, plan, clock, share)
        if fitted is None:
            console.note(f"no time left for {model}")
            continue
        write_json(choice, fitted.train.epochs)
        runs.append(train_run(own, fitted, source=source))
    if not runs:
        raise KagglekitError(
            "the time limit is too short to train a model", hint="give more, e.g. --time-limit 30m"
        )
    return runs


def _searched(
    prepared: Prepared, model: str, trials: int, deadline: float | None
) -> tuple[Prepared, Plan, str]:
    from kagglekit.search.results import best_plan
    from kagglekit.search.tune import tune

    found = tune(prepared, model, trials=trials, deadline=deadline)
    return (
        (prepared, resolve(prepared.config, model), "recipe")
        if found.best is None
        else best_plan(prepared, model)
    )


def _fit(prepared: Prepared, plan: Plan, clock: Clock, share: float) -> Plan | None:
    """The plan with no more epochs than its share of the time left allows; None: too little."""
    left = clock.left()
    if left is None or plan.train.labels == "zero_shot":  # which has no epochs
        return plan
    dataset, head = make_dataset(prepared, plan), head_for(prepared, plan)
    budget, count = TRAINING_SHARE * share * left, prepared.config.validation.folds

    def jobs(fitted: Plan) -> list[Fold]:
        return [
            Fold(prepared.config, fitted, dataset, head, number, prepared.workspace.runs)
            for number in range(count)
        ]

    affordable: list[Plan] = []
    for processes in (processes_for(jobs(plan)), 1):  # fewer epochs may not be worth processes
        with threads(cores() // processes):
            cost = seconds_per_epoch(jobs(plan)[0])
        if processes > 1:
            cost *= CROWDED
        epochs = min(int(budget / (cost * -(-count // processes))), plan.train.epochs)
        if epochs < LEAST_EPOCHS:
            continue
        fitted = with_epochs(plan, epochs)
        if processes_for(jobs(fitted)) == processes:
            return fitted
        affordable.append(fitted)
    # Too few epochs for several processes, too many for one: what both allow.
    return min(affordable, key=lambda fitted: fitted.train.epochs, default=None)


def _remembered(workspace: Workspace, plan: Plan, identity: str, clock: Clock) -> Path:
    """Where it is kept how many epochs were chosen, so that the same command goes on with the same run."""
    return workspace.runs / plan.model / f"epochs-{key_of(identity, clock.limit)}.json"
