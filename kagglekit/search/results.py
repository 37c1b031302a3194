"""Results of a search: a study's state, its best trial, and the plan and YAML with its parameters."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from optuna.trial import TrialState

from kagglekit import models
from kagglekit.config.yaml_file import dump
from kagglekit.data.prepare import Prepared
from kagglekit.errors import MissingError
from kagglekit.search.space import configure, settings
from kagglekit.search.study import ENDED, REASON, SAME_AS, StudyHandle, completed_trials, open_study, sign_of
from kagglekit.training.plan import Plan, resolve


@dataclass(frozen=True)
class StudySummary:
    """The state of a study."""

    name: str
    trials: int
    pruned: int
    failed: int
    best: int | None
    """Number of the best trial; None where none has completed."""
    value: float
    """CV score of the best trial; NaN without one."""
    params: dict[str, Any]
    """Parameters of the best trial."""
    saved: float
    """Share of the trials' epochs saved by pruning and by copied results."""
    front: list[dict[str, Any]]
    """The Pareto front of several objectives, the best score first."""


def summarize(handle: StudyHandle) -> StudySummary:
    """Return the state of a study."""
    trials = handle.study.get_trials(deepcopy=False, states=ENDED)
    failed = sum(REASON in trial.user_attrs for trial in trials)
    best = next(iter(completed_trials(handle.study)), None)
    epochs = sum(0 if SAME_AS in trial.user_attrs else len(trial.intermediate_values) for trial in trials)
    return StudySummary(
        name=handle.study.study_name,
        trials=len(trials),
        pruned=sum(trial.state == TrialState.PRUNED for trial in trials) - failed,
        failed=failed,
        best=None if best is None else best.number,
        value=math.nan if best is None else best.values[0],
        params={} if best is None else dict(best.params),
        saved=max(1 - epochs / (handle.steps * len(trials)), 0.0) if trials else 0.0,
        front=_front(handle),
    )


def _front(handle: StudyHandle) -> list[dict[str, Any]]:
    objectives = handle.prepared.config.search.objectives
    if len(objectives) == 1:
        return []
    best = sorted(
        handle.study.best_trials, key=lambda trial: sign_of(handle.study) * trial.values[0], reverse=True
    )
    return [{"trial": t.number, **dict(zip(objectives, t.values, strict=True))} for t in best]


def best_summary(prepared: Prepared, model: str) -> StudySummary:
    """Return the state of an architecture's study that has a best trial.

    Raises:
        MissingError: no trial has completed.
    """
    with open_study(prepared, resolve(prepared.config, model)) as handle:
        summary = summarize(handle)
    if summary.best is None:
        raise MissingError(
            f"no finished trial of {model}", hint=f"search first: kagglekit tune --model {model}"
        )
    return summary


def best_plan(prepared: Prepared, model: str) -> tuple[Prepared, Plan, str]:
    """Return the competition and the plan with the best trial's parameters, and the trial's name.

    Raises:
        MissingError: no trial has completed.
    """
    summary = best_summary(prepared, model)
    config, plan = configure(prepared.config, model, summary.params)
    return prepared.with_config(config), plan, f"study {summary.name} trial {summary.best}"


def best_settings(prepared: Prepared, model: str) -> tuple[dict[str, Any], str]:
    """Return the best trial's settings for --json, and as YAML for competition.yaml.

    Raises:
        MissingError: no trial has completed.
    """
    summary = best_summary(prepared, model)
    tree = nest_settings(model, settings(summary.params))
    data = {"study": summary.name, "trial": summary.best, "cv": summary.value, "settings": tree}
    head = f"# study {summary.name}, trial {summary.best} of {summary.trials}: CV {summary.value:.4f}\n"
    return data, head + dump(tree).rstrip()


def nest_settings(model: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Nest dotted settings as in competition.yaml; all but `labels` go below the model.

    {"train.augment.mixup": 0.2} -> {"models": {model: {"train": {"augment": {"mixup": 0.2}}}}}
    """
    tree: dict[str, Any] = {}
    name = model.removeprefix(models.CASCADE)
    for dotted, value in values.items():
        *parents, last = dotted.split(".")
        place = tree
        for parent in parents if parents[0] == "labels" else ["models", name, *parents]:
            place = place.setdefault(parent, {})
        place[last] = value
    return tree
