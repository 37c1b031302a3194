"""What is stopped early: what is behind beyond the noise, and nothing while scores say nothing yet."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from kagglekit.search.pruning import NOISE, CurvePruner, forecast

EPOCHS = 10
RISES = [0.70, 0.72, 0.74, 0.76, 0.78]
"""Final scores of the finished trials."""


def at(final: float, step: int) -> float:
    """A score on its way to the final one."""
    return final - 0.3 * (1 - (step + 1) / EPOCHS)


def study_of(finals: Sequence[float], noise: float = 0.01, warmup: float = 0.1) -> optuna.Study:
    study = optuna.create_study(direction="maximize", pruner=CurvePruner(EPOCHS, warmup))
    for final in finals:
        trial = study.ask()
        for step in range(EPOCHS):
            trial.report(at(final, step), step)
        trial.set_user_attr(NOISE, noise)
        study.tell(trial, final)
    return study


def stops_at(study: optuna.Study, final: float, **params: float) -> int | None:
    """The step at which a trial that rises to `final` is stopped."""
    study.enqueue_trial(params)
    trial = study.ask()
    for name in params:
        trial.suggest_float(name, 0.0, 1.0)
    for step in range(EPOCHS):
        trial.report(at(final, step), step)
        if trial.should_prune():
            study.tell(trial, state=TrialState.PRUNED)
            return step
    study.tell(trial, final)
    return None


def test_what_is_far_behind_stops_after_the_warm_up() -> None:
    assert stops_at(study_of(RISES), 0.2) == 1  # a fifth of the epochs are warm-up


def test_what_is_behind_within_the_noise_goes_on() -> None:
    assert stops_at(study_of(RISES), 0.77) is None
    assert stops_at(study_of(RISES, noise=0.2), 0.6) is None
    assert stops_at(study_of(RISES, noise=0.001), 0.6) is not None


def test_the_best_goes_on() -> None:
    assert stops_at(study_of(RISES), 0.9) is None


def test_nothing_stops_before_enough_has_finished() -> None:
    assert stops_at(study_of(RISES[:3]), 0.1) is None


@pytest.mark.parametrize(("warmup", "first"), [(0.1, 1), (0.5, 4), (0.75, 7)])
def test_nothing_stops_while_the_learning_rate_rises(warmup: float, first: int) -> None:
    assert stops_at(study_of(RISES, warmup=warmup), 0.1) == first


def test_a_trials_own_warm_up_counts() -> None:
    assert stops_at(study_of(RISES), 0.1, **{"train.warmup": 0.5}) == 4


def test_nothing_stops_where_early_scores_say_nothing() -> None:
    """As a pretrained network's first epochs do: who is last then may be first in the end."""
    study = optuna.create_study(direction="maximize", pruner=CurvePruner(EPOCHS, 0.1))
    early, final = [0.1, 0.4, 0.2, 0.5, 0.3], [0.80, 0.70, 0.74, 0.78, 0.72]
    for now, end in zip(early, final, strict=True):
        trial = study.ask()
        for step in range(EPOCHS):
            trial.report(now if step < 5 else end, step)
        trial.set_user_attr(NOISE, 0.01)
        study.tell(trial, end)
    trial = study.ask()
    for step in range(5):
        trial.report(0.1, step)
        assert not trial.should_prune()
    for step in range(5, EPOCHS):
        trial.report(0.1, step)
    assert trial.should_prune()


def test_a_score_that_is_no_number_stops() -> None:
    assert stops_at(study_of(RISES), math.nan) == 1


def test_a_forecast_follows_the_others_curves() -> None:
    now, final = np.array([0.1, 0.2, 0.3, 0.4]), np.array([0.5, 0.6, 0.7, 0.8])
    mean, spread = forecast(now, final, 0.25, noise=0.01)
    assert mean == pytest.approx(0.65)
    assert spread == pytest.approx(0.01 * math.sqrt(2 / 5 * (1 + 1 / 4)))
    flat, _ = forecast(now, np.full(4, 0.7), 0.25, noise=0.001)  # whatever they had, they ended alike
    assert flat == pytest.approx(0.7, abs=1e-3)


def test_the_farther_from_the_others_the_less_sure() -> None:
    rng = np.random.default_rng(0)
    now = rng.uniform(0.5, 0.6, 8)
    final = now + 0.2 + rng.normal(0, 0.02, 8)
    near, far = (forecast(now, final, value, noise=0.01)[1] for value in (0.55, 0.3))
    assert far > 2 * near


@pytest.mark.parametrize("final", [0.5, 0.6, 0.72, 0.8])
def test_a_loss_is_stopped_where_its_mirror_image_is(final: float) -> None:
    """Of a metric of which less is better, every score is mirrored: so are all comparisons."""
    study = optuna.create_study(direction="minimize", pruner=CurvePruner(EPOCHS, 0.1))
    for one in RISES:
        trial = study.ask()
        for step in range(EPOCHS):
            trial.report(2 - at(one, step), step)
        trial.set_user_attr(NOISE, 0.01)
        study.tell(trial, 2 - one)
    trial, stopped = study.ask(), None
    for step in range(EPOCHS):
        trial.report(2 - at(final, step), step)
        if trial.should_prune():
            stopped = step
            break
    assert stopped == stops_at(study_of(RISES), final)
