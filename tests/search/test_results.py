"""What a search has found: its summary, its best plan, its Pareto front."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.searches import FakeTraining, Place, open_place

from kagglekit.errors import KagglekitError, MissingError
from kagglekit.search import results


def test_no_best_plan_without_a_finished_trial(place: Place, fake: Callable[..., FakeTraining]) -> None:
    fake(KagglekitError("no"))
    place.tune(1)
    with pytest.raises(MissingError, match="no finished trial of gru") as caught:
        results.best_plan(place.prepared, "gru")
    assert caught.value.hint == "search first: kagglekit tune --model gru"


def test_best_plan_is_the_best_trials(place: Place, fake: Callable[..., FakeTraining]) -> None:
    fake(0.1, 0.9, 0.2)
    outcome = place.tune(3)
    _, plan, source = results.best_plan(place.prepared, "gru")
    assert outcome.best == 1
    assert source == f"study {outcome.name} trial 1"
    assert plan.train.weight_decay == outcome.params["train.weight_decay"] != 0.02
    assert plan.train.epochs == 12  # the recipe's, not a trial's
    assert plan.params["hidden"] == outcome.params["model.hidden"]


def test_what_the_search_saves_is_told(yaml: Path, fake: Callable[..., FakeTraining]) -> None:
    place = open_place(yaml, "search.epochs=10")
    fake(0.8, 0.8, 0.8, 0.8, 0.3)
    assert place.tune(5).saved == pytest.approx(8 / 50)  # the last was stopped after its second epoch


def test_several_objectives_have_a_front(yaml: Path, fake: Callable[..., FakeTraining]) -> None:
    place = open_place(yaml, "search.epochs=1", "search.objectives=[score, params]")
    fake(0.9, 0.1, 0.9, 0.1)
    outcome = place.tune(4)
    assert outcome.value == 1.0 and {row.keys() == {"trial", "score", "params"} for row in outcome.front} == {
        True
    }
    best = [trial.values for trial in place.trials() if trial.values[0] == 1.0]
    assert outcome.front[0]["params"] == min(values[1] for values in best)
    assert all(trial.values[1] > 1000 for trial in place.trials())
