"""When a search ends."""

from __future__ import annotations

from collections.abc import Callable

import optuna
from support.searches import FakeTraining, Place

from kagglekit.search import limits


def test_a_search_ends_where_nothing_better_comes(place: Place, fake: Callable[..., FakeTraining]) -> None:
    training = fake(*[0.9] * 10)
    outcome = place.tune(stagnation=3)
    assert (outcome.trials, len(training.jobs)) == (4, 4)  # the first was progress
    assert place.tune(stagnation=3).trials == 4
    assert place.tune(6, stagnation=5).trials == 6


def test_progress_is_more_than_half_the_noise() -> None:
    study = optuna.create_study(direction="maximize")
    for value in (0.70, 0.704, 0.71, 0.69, 0.71):
        trial = study.ask()
        trial.set_user_attr("noise", 0.01)
        study.tell(trial, value)
    assert limits.trials_since_progress(study) == 2  # 0.71 is more than 0.705, 0.704 was not
