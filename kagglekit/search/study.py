"""One Optuna study for each architecture, in a journal file that survives a kill at any moment."""

from __future__ import annotations

import errno
import math
import os
import shutil
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import polars as pl
from filelock import FileLock, Timeout
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from kagglekit import console
from kagglekit.config import Config
from kagglekit.data.prepare import Prepared
from kagglekit.errors import ConfigError, KagglekitError, MissingError
from kagglekit.features import logmel
from kagglekit.search.space import recipe, suggest
from kagglekit.training.loop import Fold, Report, train_fold
from kagglekit.training.plan import VERSION, Plan, resolve, with_epochs
from kagglekit.training.run import head_for, make_dataset
from kagglekit.training.runs import logits_of, rows_of, score_key
from kagglekit.validation import Score, score
from kagglekit.workspace import Workspace, key_of, locked

optuna.logging.set_verbosity(optuna.logging.ERROR)  # a trial that fails is told of in our words
STARTUP_TRIALS = 4  # trials that nothing is compared with before pruning starts
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


@dataclass(frozen=True)
class Outcome:
    """Where a study stands."""

    name: str
    trials: int
    pruned: int
    failed: int
    best: int | None
    """Number of the best trial; None where none has finished."""
    value: float
    """Its CV score, NaN without one."""
    params: dict[str, Any]


class _KernelLock:
    """A lock that the kernel lets go of when its process is killed; Optuna's own wait 30 s for that."""

    def __init__(self, path: Path) -> None:
        self.lock = FileLock(f"{path}.lock")

    def acquire(self) -> bool:
        self.lock.acquire()
        return True

    def release(self) -> None:
        self.lock.release()


def tune(
    config: Config,
    workspace: Workspace,
    prepared: Prepared,
    model: str,
    *,
    trials: int | None = None,
    deadline: float | None = None,
) -> Outcome:
    """Search until the study has so many trials, or until the deadline.

    The recipe itself is the first trial, so a search never ends below it. Run again after a kill, it
    tries the interrupted trial's parameters again, from its last whole epoch, and goes on; so it does
    with a trial that the deadline cut off. Several processes can search the same study at once.

    Args:
        config, workspace, prepared: the competition; `config.search` sets trials, epochs and folds.
        model: the architecture.
        trials: trials in the study, those of earlier calls included.
        deadline: time.monotonic() after which no epoch is begun.

    Raises:
        ConfigError: the model is not trained, so there is nothing to search.
        KagglekitError: the storage cannot be opened.
    """
    plan = _budgeted(resolve(config, model), config)
    if plan.train.labels == "zero_shot":
        raise ConfigError(
            f"train.labels zero_shot takes {model} as it is: there is nothing to search",
            hint=f"kagglekit train --model {model}, or set train.labels: words",
        )
    study = open_study(config, workspace, prepared, plan)
    wanted = trials or config.search.trials
    with _study_lock(workspace, study):
        _recover(study, workspace)
        if not study.get_trials(deepcopy=False):
            study.enqueue_trial(recipe(plan))
    search = _Search(config, workspace, prepared, plan, study, deadline)
    bar = console.bar(f"tune {model}", wanted, "trials")
    with bar as advance:
        done = _count(study)
        advance(min(done, wanted))
        while done < wanted and not search.late():
            search.try_next()
            before, done = done, _count(study)
            advance(done - before, text=_standing(study))
    return outcome(study)


def _budgeted(plan: Plan, config: Config) -> Plan:
    """The plan with the epochs of a trial."""
    return with_epochs(plan, config.search.epochs or plan.train.epochs)


def open_study(config: Config, workspace: Workspace, prepared: Prepared, plan: Plan) -> optuna.Study:
    """The architecture's study; with anything else that shapes a trial's score, it is another one.

    Raises:
        KagglekitError: the storage cannot be opened.
    """
    folds = config.search.folds or config.validation.folds
    shaping = (plan.as_dict(), prepared.key, folds, config.labels.keep_fillers, score_key(config))
    name = f"{plan.model}-{key_of(VERSION, logmel.VERSION, shaping)}"
    path = workspace.studies / f"{plan.model}.journal"
    try:
        return optuna.create_study(
            study_name=name,
            storage=config.search.storage or _journal(path),
            load_if_exists=True,
            direction="maximize",
            # epochs before a third of a trial say little: the learning rate is still high
            pruner=optuna.pruners.MedianPruner(STARTUP_TRIALS, n_warmup_steps=plan.train.epochs // 3),
        )
    except OSError:  # a full disk
        raise
    except Exception as error:  # a storage's failures are its driver's: there is no common class
        shown = "search.storage" if config.search.storage else path  # an address can hold a password
        raise KagglekitError(
            f"{shown} cannot be opened: {str(error).splitlines()[0]}",
            hint="check search.storage" if config.search.storage else f"move {path} away and search again",
        ) from error


def studies(config: Config, workspace: Workspace) -> list[optuna.Study]:
    """Every study of this competition, to look at.

    Raises:
        KagglekitError: a journal or the storage cannot be read.
    """
    found: list[optuna.Study] = []
    places: list[Any] = [config.search.storage] if config.search.storage else []
    for place in [*places, *sorted(workspace.studies.glob("*.journal"))]:
        try:
            storage = JournalStorage(JournalFileBackend(str(place))) if isinstance(place, Path) else place
            found += [
                optuna.load_study(study_name=summary.study_name, storage=storage)
                for summary in optuna.get_all_study_summaries(storage, include_best_trial=False)
            ]
        except Exception as error:  # as in open_study
            shown = place if isinstance(place, Path) else "search.storage"  # an address can hold a password
            raise KagglekitError(
                f"{shown} cannot be read: {next(iter(str(error).splitlines()), '')}",
                hint="move it away, or search again: kagglekit tune",
            ) from error
    return found


def _sampler(seed: int) -> optuna.samplers.TPESampler:
    return optuna.samplers.TPESampler(seed=seed, n_startup_trials=STARTUP_TRIALS)


def _journal(path: Path) -> JournalStorage:
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = _KernelLock(path)
    with lock.lock, path.open("a+b") as file:  # what was half written: Optuna would append to it
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)
    return JournalStorage(JournalFileBackend(str(path), lock_obj=lock))  # type: ignore[arg-type]


def _study_lock(workspace: Workspace, study: optuna.Study) -> AbstractContextManager[None]:
    """Held while trials begin or are given up for dead."""
    return locked(workspace.studies / study.study_name, f"the study {study.study_name}")


def _trial_lock(workspace: Workspace, study: optuna.Study, number: int) -> FileLock:
    """Held by a living process for as long as its trial runs."""
    folder = workspace.studies / study.study_name
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / f"trial_{number}.lock")


def _recover(study: optuna.Study, workspace: Workspace) -> None:
    """Trials that a kill, Ctrl-C or the deadline interrupted: their parameters are tried again, once."""
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        try:
            with _trial_lock(workspace, study, trial.number).acquire(timeout=0):
                study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
        except Timeout:
            continue  # another process is at it
    trials = study.get_trials(deepcopy=False)
    again = {trial.user_attrs.get("again") for trial in trials}
    for trial in trials:
        if trial.state != TrialState.FAIL or "reason" in trial.user_attrs or trial.number in again:
            continue
        # killed before it drew all of them, an enqueued trial still has them here
        params = {**trial.system_attrs.get("fixed_params", {}), **trial.params}
        console.note(f"trial {trial.number} was interrupted; its parameters are tried again")
        study.enqueue_trial(params, user_attrs={"again": trial.number})


def _count(study: optuna.Study) -> int:
    """Trials that count: finished, pruned, or failed by themselves."""
    trials = study.get_trials(deepcopy=False)
    return sum(t.state in FINISHED or "reason" in t.user_attrs for t in trials)


def _standing(study: optuna.Study) -> str:
    now = outcome(study)
    return f"best {now.value:.4f} (trial {now.best}), {now.pruned} pruned" if now.best is not None else ""


def outcome(study: optuna.Study) -> Outcome:
    """How a study stands."""
    trials = study.get_trials(deepcopy=False)
    whole = [t for t in trials if t.state == TrialState.COMPLETE and t.value is not None]
    best = max(whole, key=lambda t: t.value or -math.inf, default=None)
    return Outcome(
        name=study.study_name,
        trials=_count(study),
        pruned=sum(t.state == TrialState.PRUNED for t in trials),
        failed=sum("reason" in t.user_attrs for t in trials),
        best=None if best is None else best.number,
        value=math.nan if best is None or best.value is None else best.value,
        params={} if best is None else dict(best.params),
    )


def best_plan(config: Config, workspace: Workspace, prepared: Prepared, model: str) -> tuple[Plan, str]:
    """The recipe with the parameters of the study's best trial, and where they come from.

    Raises:
        MissingError: no trial has finished.
    """
    plan = resolve(config, model)
    found = outcome(open_study(config, workspace, prepared, _budgeted(plan, config)))
    if found.best is None:
        raise MissingError(
            f"no finished trial of {model}", hint=f"search first: kagglekit tune --model {model}"
        )
    return resolve(config, model, found.params), f"study {found.name} trial {found.best}"


class _OutOfTime(Exception):
    """The deadline came in the middle of a trial."""


def _from_outside(error: Exception) -> bool:
    """Whether the disk or the network failed, for which no parameters are to blame."""
    # of a full disk, polars and safetensors pass on no more than the words
    return isinstance(error, OSError) or os.strerror(errno.ENOSPC) in str(error)


def _reason(error: Exception) -> str:
    """Why a trial failed, in one line."""
    first = next(iter(str(error).splitlines()), "")
    return first if isinstance(error, KagglekitError) else f"{type(error).__name__}: {first}"


class _Search:
    """Tries one set of parameters after the other."""

    def __init__(
        self,
        config: Config,
        workspace: Workspace,
        prepared: Prepared,
        plan: Plan,
        study: optuna.Study,
        deadline: float | None,
    ) -> None:
        self.config, self.workspace, self.prepared = config, workspace, prepared
        self.plan, self.study, self.deadline = plan, study, deadline
        self.folds = min(config.search.folds or config.validation.folds, config.validation.folds)

    def late(self) -> bool:
        """Whether the deadline has passed."""
        return self.deadline is not None and time.monotonic() > self.deadline

    def try_next(self) -> None:
        """Begin a trial, and tell the study what came of it."""
        with _study_lock(self.workspace, self.study):  # or another process takes it for dead before its lock
            trial = self.study.ask()
            held = _trial_lock(self.workspace, self.study, trial.number).acquire()
        with held:
            # seeded by the number, so that no other process and no later call draws the same
            self.study.sampler = _sampler(self.config.search.seed + trial.number)
            params = suggest(trial, self.plan)
            # named by the parameters, so that an interrupted trial is gone on with where it was
            folder = self.workspace.studies / self.study.study_name / key_of(params)
            with locked(folder, f"the parameters of trial {trial.number}"):
                self._try(trial, params, folder)

    def _try(self, trial: optuna.Trial, params: dict[str, Any], folder: Path) -> None:
        value, state = None, TrialState.COMPLETE
        try:
            value = self._value(trial, params, folder)
        except optuna.TrialPruned:
            state = TrialState.PRUNED
        except _OutOfTime:  # without a reason and with its folder, as after a kill
            console.note(f"trial {trial.number} is out of time; the next search goes on with it")
            self.study.tell(trial, state=TrialState.FAIL)
            return
        except Exception as error:
            if _from_outside(error):
                raise
            state = TrialState.FAIL
            trial.set_user_attr("reason", _reason(error))
            console.note(f"trial {trial.number} failed: {_reason(error)}")
        self.study.tell(trial, value, state)
        shutil.rmtree(folder, ignore_errors=True)

    def _value(self, trial: optuna.Trial, params: dict[str, Any], folder: Path) -> float:
        """CV score of the parameters, from the log where they have been tried."""
        known = self._known(trial)
        if known is None:
            return self._train(trial, params, folder)
        trial.set_user_attr("same_as", known.number)
        if known.value is None or known.state == TrialState.PRUNED:
            raise optuna.TrialPruned
        return known.value

    def _known(self, trial: optuna.Trial) -> FrozenTrial | None:
        """The finished trial with equal parameters."""
        finished = self.study.get_trials(deepcopy=False, states=FINISHED)
        return next((other for other in finished if other.params == trial.params), None)

    def _train(self, trial: optuna.Trial, params: dict[str, Any], folder: Path) -> float:
        plan = _budgeted(resolve(self.config, self.plan.model, params), self.config)
        dataset = make_dataset(self.config, self.workspace, self.prepared, plan)
        head = head_for(self.config, self.prepared, plan)
        parts: list[pl.DataFrame] = []
        value = math.nan
        for number in range(self.folds):
            self._stop_if_late()
            job = Fold(self.config, plan, dataset, head, number, folder / f"fold_{number}")
            parts.append(train_fold(job, self._report(trial, job)))
            value = self._score(parts)
            trial.report(value, plan.train.epochs + number)
            if number + 1 < self.folds and trial.should_prune():
                raise optuna.TrialPruned
        return value

    def _report(self, trial: optuna.Trial, job: Fold) -> Report:
        """Prunes by the epochs of the first fold, and stops at the deadline in all of them."""

        def report(epoch: int, result: Score) -> None:
            if job.number == 0:
                trial.report(result.cv, epoch)
            if epoch + 1 == job.plan.train.epochs:
                return
            if job.number == 0 and trial.should_prune():
                raise optuna.TrialPruned
            self._stop_if_late()

        return report

    def _stop_if_late(self) -> None:
        if self.late():
            raise _OutOfTime

    def _score(self, parts: list[pl.DataFrame]) -> float:
        oof = pl.concat(parts)
        return score(logits_of(oof), rows_of(oof, self.prepared.clips), self.config).cv
