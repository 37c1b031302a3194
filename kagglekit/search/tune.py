"""The search itself: trial after trial, until it has enough, in one process, several, or on a cluster."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import TrialState

from kagglekit.data.prepare import Prepared
from kagglekit.files.keys import key_of
from kagglekit.search.objectives import cost_of
from kagglekit.search.progress import Rows
from kagglekit.search.pruning import NOISE
from kagglekit.search.storage import explained
from kagglekit.search.study import (
    AGAIN,
    FINISHED,
    REASON,
    SAME,
    Desk,
    Outcome,
    enqueue_first,
    open_desk,
    outcome,
    recover,
    sampler,
)
from kagglekit.search.trial import Candidate, Result, from_outside, reason_of, train_trial
from kagglekit.terminal import console
from kagglekit.training.plan import resolve

WAIT_S = 0.5  # between looks at trials that other processes are at
STAGNATION = 15
"""Trials without progress after which --until-stagnation ends a search, unless it names a number."""


@dataclass(frozen=True)
class Limits:
    """When a search ends: at whichever comes first."""

    trials: int | None
    """Trials in the study, those of earlier calls included."""
    deadline: float | None = None
    """time.monotonic() after which no epoch is begun."""
    stagnation: int | None = None
    """Trials in a row that are no better than the best before them by more than half the noise."""

    def late(self) -> bool:
        """Whether the deadline has passed."""
        return self.deadline is not None and time.monotonic() > self.deadline

    def stagnant(self, study: optuna.Study) -> bool:
        """Whether nothing better has come for long enough."""
        return self.stagnation is not None and since_progress(study) >= self.stagnation

    def room(self, study: optuna.Study) -> int:
        """Trials that may begin: those wanted, less those done and those running."""
        if self.trials is None:
            return 1_000_000
        states = (*FINISHED, TrialState.RUNNING)
        return self.trials - len(study.get_trials(deepcopy=False, states=states))

    def done(self, study: optuna.Study) -> bool:
        """Whether the study has all it needs."""
        enough = self.trials is not None and _finished(study) >= self.trials
        return enough or self.stagnant(study)


def since_progress(study: optuna.Study) -> int:
    """Trials since the best score last rose by more than half its standard error."""
    best, since = -float("inf"), 0
    for trial in study.get_trials(deepcopy=False, states=FINISHED):
        since += 1
        if trial.state != TrialState.COMPLETE:
            continue
        if trial.values[0] > best + trial.user_attrs.get(NOISE, 0.0) / 2:
            best, since = trial.values[0], 0
    return since


def tune(
    prepared: Prepared,
    model: str,
    *,
    trials: int | None = None,
    deadline: float | None = None,
    stagnation: int | None = None,
    jobs: int = 1,
    cluster: str | None = None,
    sources: Sequence[str] = (),
) -> Outcome:
    """Search until the study has so many trials, until the deadline, or until nothing better comes.

    The recipe itself is the first trial, so a search never ends below it. Run again after a kill, it
    tries the interrupted trial's parameters again, from its last whole epoch, and goes on; so it does
    with a trial that the deadline cut off. Several processes can search the same study at once.

    Args:
        config, workspace, prepared: the competition; `config.search` sets trials, epochs and folds.
        model: the architecture.
        trials: trials in the study, those of earlier calls included; by default search.trials, and as many
            as it takes where `stagnation` is given.
        deadline: time.monotonic() after which no epoch is begun.
        stagnation: end after so many trials without progress.
        jobs: processes on this machine, each with its share of the cores.
        cluster: address of the Ray cluster that trains the folds; None: this machine does.
        sources: studies, or architectures, whose best trials are tried after the recipe.

    Raises:
        ConfigError: the model is not trained, or its space cannot be.
        KagglekitError: the storage cannot be opened, or failed.
    """
    plan = resolve(prepared.config, model)
    wanted = trials if trials or stagnation else prepared.config.search.trials
    limits = Limits(wanted, deadline, stagnation)
    with open_desk(prepared, plan) as desk:
        try:
            with desk.locks.hold(desk.study.study_name):
                recover(desk)
                enqueue_first(desk, list(sources), prepared.workspace)
            with Rows(desk, limits.trials, deadline) as rows:
                if cluster is not None:
                    from kagglekit.search.cluster import search_on_cluster

                    search_on_cluster(prepared, desk, limits, cluster, rows.show)
                elif jobs > 1:
                    from kagglekit.search.jobs import search_in_processes

                    search_in_processes(
                        prepared.config, plan.model, limits, jobs, lambda: _over(desk, limits, rows)
                    )
                else:
                    work(Worker(prepared, desk, limits), rows.show)
        except Exception as error:
            if not _of_storage(error):
                raise
            raise explained(error, "search.storage" if prepared.config.search.storage else model) from error
        return outcome(desk)


def work(worker: Worker, show: Callable[[], None]) -> None:
    """Try one set of parameters after the other until the search is over."""
    study, limits = worker.desk.study, worker.limits
    show()
    while not limits.done(study) and not limits.late():
        if not worker.try_next():
            time.sleep(WAIT_S)  # others are at the last trials: if one of them dies, its trial is for us
        show()


def _over(desk: Desk, limits: Limits, rows: Rows) -> bool:
    rows.show()
    return limits.done(desk.study) or limits.late()


def _finished(study: optuna.Study) -> int:
    return len(study.get_trials(deepcopy=False, states=FINISHED))


def _of_storage(error: Exception) -> bool:
    """Whether a database failed in the middle."""
    return isinstance(error, optuna.exceptions.StorageInternalError) or (
        type(error).__module__.startswith("sqlalchemy")
    )


class OutOfTime(Exception):
    """The deadline came in the middle of a trial, or the process that began the search is gone."""


class Worker:
    """One process's part in a search.

    Args:
        config, workspace, prepared: the competition.
        desk: the open study.
        limits: when to stop.
        parent: the process that started this one, without which it ends; None: nobody did.
    """

    def __init__(
        self,
        prepared: Prepared,
        desk: Desk,
        limits: Limits,
        parent: int | None = None,
    ) -> None:
        self.config, self.workspace, self.prepared = prepared.config, prepared.workspace, prepared
        self.desk, self.limits, self.parent = desk, limits, parent

    def try_next(self) -> bool:
        """Begin a trial, and tell the study what came of it; False where there is none to begin."""
        with ExitStack() as held:
            with self.desk.locks.hold(
                self.desk.study.study_name
            ):  # nobody may take it for dead before its lock
                recover(self.desk)
                if self.limits.room(self.desk.study) <= 0:
                    return False
                trial = ask(self.desk)
                held.enter_context(self.desk.locks.hold(self.desk.trial_lock(trial.number)))
            params = draw(self.desk, trial)
            # named by the parameters, so that an interrupted trial is gone on with where it was
            name = f"{self.desk.study.study_name}/{key_of(params)}"
            with self.desk.locks.hold(name):
                self._try(trial, params, self.workspace.studies / name)
        return True

    def _try(self, trial: optuna.Trial, params: dict[str, Any], folder: Path) -> None:
        task = Candidate(self.prepared, self.desk.plan.model, params, folder)
        try:
            known = answered(self.desk, trial)
            if not known:
                values = self._values(trial, task)
                tell(self.desk, trial, values)
        except optuna.TrialPruned:
            tell(self.desk, trial, None)
        except (
            OutOfTime,
            KeyboardInterrupt,
        ) as stop:  # without a reason and with its folder, as after a kill
            self.desk.study.tell(trial, state=TrialState.FAIL, skip_if_finished=True)
            if isinstance(stop, KeyboardInterrupt):
                raise
            console.note(f"trial {trial.number} is out of time; the next search goes on with it")
            return
        except Exception as error:
            if from_outside(error) or _of_storage(error):
                raise
            fail(self.desk, trial, reason_of(error))
        shutil.rmtree(folder, ignore_errors=True)

    def _values(self, trial: optuna.Trial, task: Candidate) -> list[float]:
        self._stop_if_late()
        watch = watcher(self.desk, trial)

        def report(step: int, value: float) -> None:
            watch(step, value)
            if step + 1 < self.desk.steps:
                self._stop_if_late()

        result = train_trial(task, report)
        return [*noted(trial, result), *cost_of(task, self.config.search.objectives[1:])]

    def _stop_if_late(self) -> None:
        if self.limits.late() or (self.parent is not None and os.getppid() != self.parent):
            raise OutOfTime


def ask(desk: Desk) -> optuna.Trial:
    """The next trial, with the scores that its interrupted forerunner had."""
    trial = desk.study.ask()
    before = trial.user_attrs.get(AGAIN)
    if before is not None and len(desk.study.directions) == 1:
        for step, value in desk.study.get_trials(deepcopy=False)[before].intermediate_values.items():
            trial.report(value, step)
    return trial


def draw(desk: Desk, trial: optuna.Trial) -> dict[str, Any]:
    """A trial's parameters; seeded by its number, so that no other process or later call draws the same."""
    desk.study.sampler = sampler(desk.space.config.search.seed + trial.number)
    return desk.space.suggest(trial)


def watcher(desk: Desk, trial: optuna.Trial) -> Callable[[int, float], None]:
    """Tells the study a trial's score after each epoch, and raises optuna.TrialPruned where it is to stop."""

    known = set(desk.study.get_trials(deepcopy=False)[trial.number].intermediate_values)

    def watch(step: int, value: float) -> None:
        if len(desk.study.directions) > 1:  # Optuna prunes by one objective only
            return
        if step not in known:  # as it is where a fold is trained again
            known.add(step)
            trial.report(value, step)
        if step + 1 < desk.steps and trial.should_prune():
            raise optuna.TrialPruned

    return watch


def noted(trial: optuna.Trial, result: Result) -> list[float]:
    """A trial's score, its noise kept for the pruner."""
    trial.set_user_attr(NOISE, result.noise)
    return [result.score]


def answered(desk: Desk, trial: optuna.Trial) -> bool:
    """Whether equal parameters have been tried: then the log answers, failures included."""
    finished = desk.study.get_trials(deepcopy=False, states=FINISHED)
    known = next((other for other in finished if other.params == trial.params), None)
    if known is None:
        return False
    trial.set_user_attr(SAME, known.number)
    for name in (REASON, NOISE):
        if name in known.user_attrs:
            trial.set_user_attr(name, known.user_attrs[name])
    tell(desk, trial, list(known.values) if known.state == TrialState.COMPLETE else None)
    return True


def fail(desk: Desk, trial: optuna.Trial, reason: str) -> None:
    """A trial whose parameters are to blame. It is told as pruned: from those Optuna's sampler learns what to
    avoid, while it forgets failed ones."""
    trial.set_user_attr(REASON, reason)
    console.note(f"trial {trial.number} failed: {reason}")
    tell(desk, trial, None)


def tell(desk: Desk, trial: optuna.Trial, values: list[float] | None) -> None:
    """End a trial, as pruned where there are no values. If its process was taken for dead meanwhile, and its
    parameters went to another, what this one says is not counted."""
    state = TrialState.PRUNED if values is None else TrialState.COMPLETE
    told = desk.study.tell(trial, values, state, skip_if_finished=True)
    if told.state != state:
        console.note(f"trial {trial.number} had been given up for dead; its result is not counted")
