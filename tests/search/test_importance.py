"""Importance of parameters, pruned trials included."""

from __future__ import annotations

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial

from kagglekit.search.importance import importances, with_pruned
from kagglekit.search.study import REASON

SPACE = {"lr": FloatDistribution(0, 1), "dropout": FloatDistribution(0, 1)}


def searched(finished: int, pruned: int) -> optuna.Study:
    """Trials whose score is their lr; the worse ones are pruned after two epochs."""
    study = optuna.create_study(direction="maximize")
    for i in range(finished + pruned):
        lr, dropout = 1 - i / (finished + pruned), (7 * i % 11) / 11
        state = TrialState.COMPLETE if i < finished else TrialState.PRUNED
        study.add_trial(
            create_trial(
                state=state,
                value=lr if i < finished else None,
                params={"lr": lr, "dropout": dropout},
                distributions=dict(SPACE),
                intermediate_values={0: lr / 2, 1: 0.9 * lr},
            )
        )
    return study


def test_pruned_trials_say_what_is_worse() -> None:
    study = searched(finished=3, pruned=20)
    assert next(iter(importances(study))) == "lr"
    values = [trial.value for trial in with_pruned(study).trials]
    assert values[:3] == [trial.value for trial in study.trials[:3]]
    assert values[3:] == pytest.approx([0.9 * trial.params["lr"] for trial in study.trials[3:]])
    assert (
        len(study.trials) == 23 and study.trials[3].state == TrialState.PRUNED
    )  # the study itself is as it was


def test_failed_trials_say_nothing() -> None:
    study = searched(finished=3, pruned=0)
    nan = create_trial(
        state=TrialState.PRUNED, intermediate_values={0: 0.1}, user_attrs={REASON: "loss is NaN"}
    )
    undefined = create_trial(state=TrialState.PRUNED, intermediate_values={0: 0.1, 1: float("nan")})
    study.add_trials(
        [nan, undefined, create_trial(state=TrialState.FAIL), create_trial(state=TrialState.PRUNED)]
    )
    assert len(with_pruned(study).trials) == 3
    assert importances(study) == {}  # of three
