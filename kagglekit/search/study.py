"""One Optuna study for each architecture: what is in it, what a kill left, and what it has found."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from kagglekit import __version__
from kagglekit.data.prepare import Prepared
from kagglekit.errors import ConfigError, KagglekitError, MissingError, close_match
from kagglekit.features import logmel
from kagglekit.files.keys import key_of
from kagglekit.files.workspace import Workspace
from kagglekit.runs.store import score_key
from kagglekit.search.pruning import STARTUP_TRIALS, CurvePruner
from kagglekit.search.space import Space, configure
from kagglekit.search.storage import Locks, close_storage, explained, open_locks, open_storage
from kagglekit.search.trial import budgeted, folds_of
from kagglekit.terminal import console
from kagglekit.training.plan import VERSION, Plan, resolve

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
REASON, AGAIN, SAME, ORIGIN = "reason", "again", "same_as", "from"
"""User attributes of a trial: why it failed; which interrupted trial it repeats; which trial with equal
parameters answered it; which trial of another study it comes from."""
ABOUT = "about"
"""User attribute of a study: what it is a study of."""
DIRECTIONS: dict[str, Literal["maximize", "minimize"]] = {
    "score": "maximize",
    "params": "minimize",
    "latency": "minimize",
}
WARM_TRIALS = 5  # of another study, its best ones, that a warm start tries


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
    saved: float = 0.0
    """Share of the trials' epochs that pruning, and answers from the log, saved."""
    front: list[dict[str, Any]] = field(default_factory=list)
    """With several objectives: the trials that no other beats in all of them, the best score first."""


@dataclass(frozen=True)
class Desk:
    """An open study and what belongs to it; to be closed."""

    study: optuna.Study
    storage: BaseStorage
    space: Space
    locks: Locks
    plan: Plan
    """The recipe, with the epochs of a trial."""
    steps: int
    """Epochs of a whole trial, all folds together."""

    def __enter__(self) -> Desk:
        return self

    def __exit__(self, *_: object) -> None:
        close_storage(self.storage)

    def trial_lock(self, number: int) -> str:
        """Held by a living process for as long as its trial runs."""
        return f"{self.study.study_name}/trial_{number}"


def open_desk(prepared: Prepared, plan: Plan) -> Desk:
    """Open the architecture's study; with anything else that shapes a trial's score, it is another one.

    Raises:
        ConfigError: the model is not trained, or its search space contradicts it.
        KagglekitError: the storage cannot be opened, or its studies are of other data.
    """
    if plan.train.labels == "zero_shot":
        raise ConfigError(
            f"train.labels zero_shot takes {plan.model} as it is: there is nothing to search",
            hint=f"kagglekit train --model {plan.model}, or set train.labels: words",
        )
    plan = budgeted(plan, prepared.config)
    space = Space(prepared.config, plan)
    about = {
        "competition": prepared.config.competition.slug,
        "model": plan.model,
        "data": prepared.key,
        "folds": folds_of(prepared.config),
        "settings": key_of(VERSION, logmel.VERSION, plan.as_dict(), prepared.config.labels.keep_fillers),
        "score": score_key(prepared.config),
        "space": key_of(space.signature()),
        "objectives": list(prepared.config.search.objectives),
    }
    name = f"{plan.model}-{key_of(about)}"
    storage = open_storage(prepared.workspace, plan.model)
    try:
        _compare(storage, name, about, shared=prepared.config.search.storage is not None)
        study = optuna.create_study(
            study_name=name,
            storage=storage,
            load_if_exists=True,
            directions=[DIRECTIONS[objective] for objective in prepared.config.search.objectives],
            pruner=CurvePruner(plan.train.epochs, plan.train.warmup),
        )
        if ABOUT not in study.user_attrs:
            study.set_user_attr(ABOUT, about | {"kagglekit": __version__, "optuna": optuna.__version__})
        locks = open_locks(prepared.workspace)
    except (OSError, KagglekitError):
        close_storage(storage)
        raise
    except Exception as error:  # a storage's failures are its driver's: there is no common class
        close_storage(storage)
        raise explained(error, "search.storage" if prepared.config.search.storage else plan.model) from error
    return Desk(study, storage, space, locks, plan, plan.train.epochs * folds_of(prepared.config))


def _compare(storage: BaseStorage, name: str, about: Mapping[str, Any], *, shared: bool) -> None:
    """Say what is different from the model's other studies, where this one is new.

    Raises:
        KagglekitError: machines share the storage, and this one's data are not the others'.
    """
    studies = storage.get_all_studies()
    others = [s.user_attrs.get(ABOUT, {}) for s in studies if s.study_name != name]
    same = [o for o in others if all(o.get(key) == about[key] for key in ("competition", "model"))]
    if not same or len(others) < len(studies):
        return
    last = same[-1]
    if shared and all(other["data"] != about["data"] for other in same):
        raise KagglekitError(
            f"search.storage has a study of {about['model']} on other clips or folds "
            f"({last['data']}, here {about['data']})",
            hint="prepare the same data here; if they are meant to differ, name another search.storage",
        )
    changed = ", ".join(key for key in about if last.get(key) != about[key])
    console.note(f"a new study: {changed} differ from the last one's; --from {about['model']} starts from it")


def sampler(seed: int) -> optuna.samplers.TPESampler:
    """Draws the parameters of one trial."""
    return optuna.samplers.TPESampler(seed=seed, n_startup_trials=STARTUP_TRIALS)


def recover(desk: Desk) -> None:
    """Trials that a kill, Ctrl-C or the deadline interrupted: their parameters are tried again, once."""
    study = desk.study
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        with desk.locks.take(desk.trial_lock(trial.number)) as dead:
            if dead:
                study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
    trials = study.get_trials(deepcopy=False)
    again = {trial.user_attrs.get(AGAIN) for trial in trials}
    for trial in trials:
        if trial.state != TrialState.FAIL or trial.number in again:
            continue
        # killed before it drew all of them, an enqueued trial still has them here
        params = {**trial.system_attrs.get("fixed_params", {}), **trial.params}
        console.note(f"trial {trial.number} was interrupted; its parameters are tried again")
        study.enqueue_trial(params, user_attrs={AGAIN: trial.number})


def enqueue_first(desk: Desk, sources: list[str], workspace: Workspace) -> None:
    """The recipe, and the best trials of other studies, where nothing has been tried yet or they are new.

    Raises:
        MissingError: there is no such study.
    """
    if not desk.study.get_trials(deepcopy=False):
        desk.study.enqueue_trial(desk.space.recipe())
    for source in sources:
        for origin, trial in _best_of(source, desk, workspace):
            tried = {t.user_attrs.get(ORIGIN) for t in desk.study.get_trials(deepcopy=False)}
            label = f"{origin} trial {trial.number}"
            if label not in tried:
                desk.study.enqueue_trial(desk.space.nearest(trial.params), user_attrs={ORIGIN: label})


def _best_of(source: str, desk: Desk, workspace: Workspace) -> list[tuple[str, FrozenTrial]]:
    """(study, trial) of the best trials of a study, or of all studies of a model."""
    model = source.partition("-")[0] if "-" in source else source
    known = {s.study_name: s for s in _studies(desk, model, workspace)}
    names = [n for n in known if n != desk.study.study_name and source in (n, n.rpartition("-")[0])]
    if not names:
        raise MissingError(
            f"there is no other study '{source}' to start from",
            hint=close_match(source, known) if known else f"search it first: kagglekit tune --model {model}",
        )
    found = []
    for name in names:
        whole = known[name].get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        whole.sort(key=lambda trial: trial.values[0], reverse=True)
        found += [(name, trial) for trial in whole[:WARM_TRIALS]]
    return sorted(found, key=lambda pair: pair[1].values[0], reverse=True)[:WARM_TRIALS]


def _studies(desk: Desk, model: str, workspace: Workspace) -> list[optuna.Study]:
    storage = desk.storage
    if not workspace.config.search.storage:  # every architecture has a journal of its own
        if not (workspace.studies / f"{model}.journal").is_file():
            return []
        storage = open_storage(workspace, model)
    names = [study.study_name for study in storage.get_all_studies()]
    return [optuna.load_study(study_name=name, storage=storage) for name in names]


def counts(trial: FrozenTrial) -> bool:
    """Whether a trial is one of those asked for: it was finished, pruned, or failed by its parameters."""
    return trial.state in FINISHED


def whole(study: optuna.Study) -> list[FrozenTrial]:
    """Finished trials, the best score first."""
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return sorted(trials, key=lambda trial: trial.values[0], reverse=True)


def outcome(desk: Desk) -> Outcome:
    """How a study stands."""
    trials = desk.study.get_trials(deepcopy=False)
    counted = [trial for trial in trials if counts(trial)]
    failed = [trial for trial in counted if REASON in trial.user_attrs]
    found = whole(desk.study)
    best = found[0] if found else None
    spent = sum(0 if SAME in trial.user_attrs else len(trial.intermediate_values) for trial in counted)
    return Outcome(
        name=desk.study.study_name,
        trials=len(counted),
        pruned=sum(trial.state == TrialState.PRUNED for trial in counted) - len(failed),
        failed=len(failed),
        best=None if best is None else best.number,
        value=math.nan if best is None else best.values[0],
        params={} if best is None else dict(best.params),
        saved=max(1 - spent / (desk.steps * len(counted)), 0.0) if counted else 0.0,
        front=_front(desk),
    )


def _front(desk: Desk) -> list[dict[str, Any]]:
    objectives = desk.space.config.search.objectives
    if len(objectives) == 1:
        return []
    best = sorted(desk.study.best_trials, key=lambda trial: trial.values[0], reverse=True)
    return [{"trial": t.number, **dict(zip(objectives, t.values, strict=True))} for t in best]


def finished(prepared: Prepared, model: str) -> Outcome:
    """How an architecture's study stands, with its best trial.

    Raises:
        MissingError: no trial has finished.
    """
    with open_desk(prepared, resolve(prepared.config, model)) as desk:
        found = outcome(desk)
    if found.best is None:
        raise MissingError(
            f"no finished trial of {model}", hint=f"search first: kagglekit tune --model {model}"
        )
    return found


def best_plan(prepared: Prepared, model: str) -> tuple[Prepared, Plan, str]:
    """The competition and the recipe with the parameters of the study's best trial, and where they come from.

    Raises:
        MissingError: no trial has finished.
    """
    found = finished(prepared, model)
    config, plan = configure(prepared.config, model, found.params)
    return prepared.with_config(config), plan, f"study {found.name} trial {found.best}"
