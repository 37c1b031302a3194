"""The first trials: the recipe, and the best of other studies."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.searches import FakeTraining, Place, open_place

from kagglekit.errors import MissingError


def test_the_recipe_is_the_first_trial(place: Place) -> None:
    outcome = place.tune()
    first, second = place.trials()
    assert first.params == place.recipe()
    assert first.params["train.lr"] == 0.01
    assert second.params != first.params
    assert outcome.trials == 2 and outcome.best in (0, 1)
    assert outcome.value == max(first.value or 0, second.value or 0)
    assert outcome.params == place.trials()[outcome.best].params


def test_a_warm_start_tries_the_best_of_another_study(
    place: Place, yaml: Path, fake: Callable[..., FakeTraining]
) -> None:
    fake(0.1, 0.9, 0.2)
    first = place.tune(3)
    other = open_place(yaml, "search.epochs=2", "models.gru.space={model.layers: null}")
    fake(*[0.9] * 3)
    other.tune(2, sources=[first.name])
    recipe, second = other.trials()[:2]
    assert recipe.params == other.recipe() and second.user_attrs["from"] == f"{first.name} trial 1"
    assert second.params == {k: v for k, v in first.params.items() if k != "model.layers"}
    other.tune(3, sources=["gru"])  # the same study by its model's name: nothing of it comes twice
    assert sum(t.user_attrs.get("from") == f"{first.name} trial 1" for t in other.trials()) == 1


def test_no_warm_start_from_what_is_not_there(place: Place) -> None:
    with pytest.raises(MissingError, match="no other study 'lstm' to start from") as caught:
        place.tune(1, sources=["lstm"])
    assert caught.value.hint == "search it first: kagglekit tune --model lstm"
