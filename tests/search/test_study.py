"""What makes another study, and what does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.searches import SHORT, FakeTraining, Place, open_place

from kagglekit.search import study
from kagglekit.terminal import console


def test_another_budget_is_another_study(place: Place, yaml: Path, fake: Callable[..., FakeTraining]) -> None:
    fake(0.9, 0.9)
    name = place.tune(1).name
    longer = open_place(yaml, "search.epochs=2")
    assert longer.tune(1).name != name
    assert [len(p.trials()) for p in (place, longer)] == [1, 1]


@pytest.mark.parametrize(
    "override",
    [
        "train.batch_size=7",
        "features.n_mels=24",
        "models.gru.model.layers=2",
        "labels.keep_fillers=0.5",
        "validation.never_heard=0.123",
        "search.folds=2",
    ],
)
def test_what_shapes_a_score_makes_another_study(override: str, place: Place, yaml: Path) -> None:
    assert open_place(yaml, *SHORT, override).study().study_name != place.study().study_name


def test_features_of_another_version_are_another_study(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    name = place.study().study_name
    monkeypatch.setattr(study.logmel, "VERSION", 1000)
    assert place.study().study_name != name


def test_the_seed_and_the_number_of_trials_make_no_other_study(place: Place, yaml: Path) -> None:
    other = open_place(yaml, *SHORT, "search.seed=5", "search.trials=9")
    assert other.study().study_name == place.study().study_name


def test_a_new_study_says_what_is_different(
    place: Place, yaml: Path, fake: Callable[..., FakeTraining], capsys: pytest.CaptureFixture[str]
) -> None:
    fake(0.9, 0.9)
    place.tune(1)
    console.configure()
    open_place(yaml, "search.epochs=2").tune(1)
    assert "starting a new study, because this changed: settings; --from gru tries" in capsys.readouterr().err
