"""One Optuna study per architecture and settings: opening it, and what its trials record."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from kagglekit import __version__
from kagglekit.data.prepare import Prepared
from kagglekit.errors import ConfigError, KagglekitError
from kagglekit.features import logmel
from kagglekit.files.keys import key_of
from kagglekit.runs.score import score_key
from kagglekit.search.locks import Locks, open_locks
from kagglekit.search.pruning import CurvePruner
from kagglekit.search.space import Space
from kagglekit.search.storage import close_storage, explain_failures, open_storage
from kagglekit.search.trial import folds_per_trial, with_trial_epochs
from kagglekit.terminal import console
from kagglekit.training.plan import VERSION, Plan

ENDED = (TrialState.COMPLETE, TrialState.PRUNED)
"""States of trials that count: a trial whose parameters failed ends as pruned."""
ABOUT = "about"  # user attribute of a study: everything that shapes its scores
# User attributes of a trial:
REASON = "reason"  # why its parameters failed
RETRY_OF = "again"  # number of the interrupted trial that it repeats
SAME_AS = "same_as"  # number of the trial with equal parameters whose result it copies
ORIGIN = "from"  # the trial of another study that its parameters come from


@dataclass(frozen=True)
class StudyHandle:
    """An open study with everything that a search needs; close it by leaving its `with` block."""

    prepared: Prepared
    study: optuna.Study
    storage: BaseStorage
    space: Space
    locks: Locks
    plan: Plan
    """The recipe, with the epochs of a trial."""

    def __enter__(self) -> StudyHandle:
        return self

    def __exit__(self, *_: object) -> None:
        close_storage(self.storage)

    @property
    def steps(self) -> int:
        """Epochs of a complete trial, summed over its folds."""
        return self.plan.train.epochs * folds_per_trial(self.prepared.config)

    def trial_lock(self, number: int) -> str:
        """Return the name of the lock that a process holds while it runs a trial."""
        return f"{self.study.study_name}/trial_{number}"


def open_study(prepared: Prepared, plan: Plan) -> StudyHandle:
    """Open the architecture's study; changed data, folds, settings or ranges open another one.

    Raises:
        ConfigError: the model is not trained, or its search space contradicts it.
        KagglekitError: the storage cannot be opened, or its studies are on different data.
    """
    config = prepared.config
    if plan.train.labels == "zero_shot":
        raise ConfigError(
            f"train.labels zero_shot does not train {plan.model}: there is nothing to search",
            hint=f"kagglekit train --model {plan.model}, or set train.labels: words",
        )
    plan = with_trial_epochs(plan, config)
    space = Space(config, plan)
    about = {
        "competition": config.competition.slug,
        "model": plan.model,
        "data": prepared.key,
        "folds": folds_per_trial(config),
        "settings": key_of(VERSION, logmel.VERSION, plan.as_dict(), config.labels.keep_fillers),
        "score": score_key(config),
        "space": key_of(space.signature()),
        "objectives": list(config.search.objectives),
    }
    name = f"{plan.model}-{key_of(about)}"
    storage = open_storage(prepared.workspace, plan.model)
    place = "search.storage" if config.search.storage else plan.model
    with ExitStack() as opened, explain_failures(place):
        opened.callback(close_storage, storage)
        _compare(storage, name, about, shared=config.search.storage is not None)
        study = optuna.create_study(
            study_name=name,
            storage=storage,
            load_if_exists=True,
            directions=[
                prepared.task.metric.direction if name == "score" else "minimize"
                for name in config.search.objectives
            ],
            pruner=CurvePruner(plan.train.epochs, plan.train.warmup),
        )
        if ABOUT not in study.user_attrs:
            study.set_user_attr(ABOUT, about | {"kagglekit": __version__, "optuna": optuna.__version__})
        locks = open_locks(prepared.workspace)
        opened.pop_all()
    return StudyHandle(prepared, study, storage, space, locks, plan)


def _compare(storage: BaseStorage, name: str, about: Mapping[str, Any], *, shared: bool) -> None:
    """Say why a new study begins where the model has other studies.

    Raises:
        KagglekitError: machines share the storage, and this machine's data differ from the others'.
    """
    studies = storage.get_all_studies()
    others = [s.user_attrs.get(ABOUT, {}) for s in studies if s.study_name != name]
    same = [o for o in others if all(o.get(key) == about[key] for key in ("competition", "model"))]
    if not same or len(others) < len(studies):
        return
    last = same[-1]
    if shared and all(other["data"] != about["data"] for other in same):
        raise KagglekitError(
            f"search.storage has a study of {about['model']} on different clips or folds "
            f"({last['data']}, here {about['data']})",
            hint="prepare the same data here, or name another search.storage if they should differ",
        )
    changed = ", ".join(key for key in about if last.get(key) != about[key])
    console.note(
        f"starting a new study, because this changed: {changed}; "
        f"--from {about['model']} tries the best trials of the last one"
    )


def completed_trials(study: optuna.Study) -> list[FrozenTrial]:
    """Return the completed trials, the best score first."""
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return sorted(trials, key=lambda trial: sign_of(study) * trial.values[0], reverse=True)


def sign_of(study: optuna.Study) -> int:
    """Return 1 where a higher score is better, -1 where a lower one is."""
    return 1 if study.directions[0] == StudyDirection.MAXIMIZE else -1
