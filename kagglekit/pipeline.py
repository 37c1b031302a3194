"""Train several models within a time limit, for `kagglekit run`."""

import time
from collections.abc import Sequence
from pathlib import Path

from pydantic import PositiveInt

from kagglekit.data.prepare import Prepared, prepare
from kagglekit.errors import KagglekitError, MissingError
from kagglekit.files.atomic import read_json, write_json
from kagglekit.files.json_shape import shaped
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
SEARCH_SHARE = 0.25  # of a model's share of the time; the rest trains the best trial
CROWDED = 1.25  # time of a step beside other processes, as a multiple of its time alone (docs/LOG.md)
MIN_EPOCHS = 3  # a model trained for fewer is useless


class Clock:
    """Measure how much of a time limit in seconds is left; None: no limit."""

    def __init__(self, limit: float | None) -> None:
        self.limit = limit
        self.started = time.monotonic()

    def left(self) -> float | None:
        """Return the seconds left, or None without a limit."""
        return None if self.limit is None else max(self.limit - (time.monotonic() - self.started), 0.0)

    def deadline(self, share: float) -> float | None:
        """Return the time.monotonic() at which a share of the remaining time is used up, or None."""
        left = self.left()
        return None if left is None else time.monotonic() + share * left


def train_models(workspace: Workspace, models: Sequence[str], clock: Clock, *, trials: int = 0) -> list[Run]:
    """Prepare the data, then train each model for as many epochs as its share of the time allows.

    Args:
        models: architectures, the most important first: a short limit skips the last.
        trials: number of trials of a search for each model's hyperparameters; 0: no search.

    Raises:
        KagglekitError: the limit is too short for a single model.
    """
    plans = {model: resolve(workspace.config, model) for model in models}
    prepared = prepare(workspace)
    runs: list[Run] = []
    for index, (model, recipe) in enumerate(plans.items()):
        data, plan, source = prepared, recipe, "recipe"
        share = 1 / (len(plans) - index)
        if trials:
            data, plan, source = _search(prepared, model, trials, clock.deadline(SEARCH_SHARE * share))
        # a file with the chosen number of epochs, so that the same command resumes the same run
        choice = workspace.runs_of(plan.model) / f"epochs-{key_of(run_id(data, plan), clock.limit)}.json"
        if choice.is_file():
            fitted: Plan | None = with_epochs(plan, _epochs(choice))
        else:
            fitted = _fit(data, plan, clock, share)
        if fitted is None:
            console.note(f"skipping {model}: no time left")
            continue
        write_json(choice, {"epochs": fitted.train.epochs})
        runs.append(train_run(data, fitted, source=source))
    if not runs:
        raise KagglekitError(
            "the time limit is too short to train a model", hint="raise it, for example --time-limit 30m"
        )
    return runs


def _epochs(path: Path) -> int:
    """Read the number of epochs that an earlier call chose; a plain number by an earlier version.

    Raises:
        MissingError: the file is damaged.
    """
    try:
        data = read_json(path)
        return shaped(PositiveInt, data["epochs"] if isinstance(data, dict) else data)
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise MissingError(f"{path} cannot be read: {error}", hint="remove it, and run again") from error


def _search(
    prepared: Prepared, model: str, trials: int, deadline: float | None
) -> tuple[Prepared, Plan, str]:
    """Search a model's hyperparameters; return the best trial's plan, or the recipe's if none finished."""
    from kagglekit.search.results import best_plan
    from kagglekit.search.tune import tune

    if tune(prepared, model, trials=trials, deadline=deadline).best is None:
        return prepared, resolve(prepared.config, model), "recipe"
    return best_plan(prepared, model)


def _fit(prepared: Prepared, plan: Plan, clock: Clock, share: float) -> Plan | None:
    """Return the plan with as many epochs as its share of the time allows; None: fewer than MIN_EPOCHS."""
    left = clock.left()
    if left is None or plan.train.labels == "zero_shot":  # zero_shot has no epochs
        return plan
    dataset, head = make_dataset(prepared, plan), head_for(prepared, plan)
    budget, count = TRAINING_SHARE * share * left, prepared.config.validation.folds

    def jobs(fitted: Plan) -> list[Fold]:
        return [
            Fold(prepared.config, fitted, dataset, head, number, prepared.workspace.runs)
            for number in range(count)
        ]

    affordable: list[Plan] = []
    for processes in (processes_for(jobs(plan)), 1):  # a run of few epochs trains in one process
        with threads(cores() // processes):
            cost = seconds_per_epoch(jobs(plan)[0])
        if processes > 1:
            cost *= CROWDED
        epochs = min(int(budget / (cost * -(-count // processes))), plan.train.epochs)
        if epochs < min(MIN_EPOCHS, plan.train.epochs):
            continue
        fitted = with_epochs(plan, epochs)
        if processes_for(jobs(fitted)) == processes:
            return fitted
        affordable.append(fitted)
    # No count fits: several processes allow too few epochs to be used, and one process allows more than it
    # would be used for. The smaller count fits the limit either way.
    return min(affordable, key=lambda fitted: fitted.train.epochs, default=None)
