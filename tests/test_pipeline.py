"""Everything in a row: how a time limit is divided."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from support import tiny

from kagglekit import pipeline
from kagglekit.config import Config
from kagglekit.config.load import load_config
from kagglekit.data.prepare import prepare
from kagglekit.errors import ConfigError, KagglekitError
from kagglekit.files.workspace import Workspace
from kagglekit.hosts import open_host
from kagglekit.hosts.fetch import fetch
from kagglekit.pipeline import Clock, train_models
from kagglekit.training.loop import Fold
from kagglekit.training.plan import Plan

Place = tuple[Config, Workspace]


class FakeClock(Clock):
    """So many seconds are left, now and always."""

    def left(self) -> float | None:
        return self.limit


class Trained(list[Plan]):
    """Stands in for train_run: keeps the plans and their sources."""

    def __init__(self) -> None:
        self.sources: list[str] = []

    def __call__(self, prepared: Any, plan: Plan, *, source: str) -> str:
        self.append(plan)
        self.sources.append(source)
        return plan.model

    def epochs(self) -> dict[str, int]:
        return {plan.model: plan.train.epochs for plan in self}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    config = load_config(tiny.make(folder))
    fetch(Workspace(config), open_host(config, Workspace(config).root))
    prepare(Workspace(config))
    return folder


@pytest.fixture
def place(made: Path, tmp_path: Path) -> Place:
    shutil.copytree(made, tmp_path / "tiny")
    config = load_config(tmp_path / "tiny" / "competition.yaml")
    return config, Workspace(config)


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> Trained:
    """No training; an epoch of a fold costs a second."""
    fake = Trained()
    monkeypatch.setattr(pipeline, "train_run", fake)
    monkeypatch.setattr(pipeline, "seconds_per_epoch", lambda *_: 1.0)
    return fake


def test_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(pipeline.time, "monotonic", lambda: now[0])
    clock, endless = Clock(60), Clock(None)
    now[0] = 110.0
    assert clock.left() == 50 and clock.deadline(0.5) == 135
    assert endless.left() is None and endless.deadline(0.5) is None
    now[0] = 200.0
    assert clock.left() == 0 and clock.deadline(0.5) == 200


def test_without_a_limit_every_epoch_is_trained(place: Place, trained: Trained) -> None:
    assert train_models(place[1], ["gru", "lstm"], FakeClock(None)) == ["gru", "lstm"]
    assert trained.epochs() == {"gru": 12, "lstm": 12}
    assert trained.sources == ["recipe", "recipe"]


def test_a_limit_cuts_the_epochs(place: Place, trained: Trained) -> None:
    train_models(place[1], ["gru"], FakeClock(10))
    assert trained.epochs() == {"gru": 4}  # 0.8 * 10 s, two folds of a second an epoch


def test_folds_side_by_side_get_more_epochs(place: Place, trained: Trained) -> None:
    two = Workspace(place[0].model_copy(update={"jobs": 2}))
    train_models(two, ["gru"], FakeClock(10))
    assert trained.epochs() == {"gru": 6}  # 0.8 * 10 s, both folds at once, each epoch 1.25 s


def test_too_few_epochs_for_processes_and_too_many_for_one(
    place: Place, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    def processes(jobs: list[Fold]) -> int:
        return 2 if jobs[0].plan.train.epochs >= 9 else 1

    monkeypatch.setattr(pipeline, "processes_for", processes)
    costs = iter((2.0, 0.5))  # of an epoch, beside another and alone
    monkeypatch.setattr(pipeline, "seconds_per_epoch", lambda *_: next(costs))
    train_models(place[1], ["gru"], FakeClock(20))
    assert trained.epochs() == {"gru": 6}  # of 2.5 s side by side; alone 12, which are worth processes


def test_a_limit_never_adds_epochs(place: Place, trained: Trained) -> None:
    train_models(place[1], ["gru"], FakeClock(1000))
    assert trained.epochs() == {"gru": 12}


def test_models_share_what_is_left(place: Place, trained: Trained) -> None:
    train_models(place[1], ["gru", "lstm"], FakeClock(20))
    assert trained.epochs() == {"gru": 4, "lstm": 8}  # half of 20 s, then all of (still) 20 s


def test_a_model_without_time_is_left_out(place: Place, trained: Trained) -> None:
    train_models(place[1], ["gru", "lstm"], FakeClock(10))
    assert trained.epochs() == {"lstm": 4}  # the first would have had two epochs


def test_too_short_a_limit(place: Place, trained: Trained) -> None:
    with pytest.raises(KagglekitError) as caught:
        train_models(place[1], ["gru", "lstm"], FakeClock(5))
    assert str(caught.value) == "the time limit is too short to train a model"
    assert trained == []


def test_the_same_limit_again_is_the_same_plan(
    place: Place, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_models(place[1], ["gru"], FakeClock(10))
    monkeypatch.setattr(pipeline, "seconds_per_epoch", lambda *_: 0.5)
    train_models(place[1], ["gru"], FakeClock(10))
    train_models(place[1], ["gru"], FakeClock(11))
    assert [plan.train.epochs for plan in trained] == [4, 4, 8]


def test_names_are_checked_before_work_begins(place: Place, trained: Trained) -> None:
    with pytest.raises(ConfigError, match="no model 'grru'"):
        train_models(place[1], ["gru", "grru"], FakeClock(None))
    assert trained == []


def test_a_search_first(place: Place, trained: Trained) -> None:
    config = place[0].model_copy(update={"search": place[0].search.model_copy(update={"epochs": 1})})
    train_models(Workspace(config), ["gru"], FakeClock(None), trials=1)
    assert trained.sources[0].startswith("study gru-") and trained.sources[0].endswith(" trial 0")
    assert trained.epochs() == {"gru": 12}


def test_a_search_without_time_leaves_the_recipe(place: Place, trained: Trained) -> None:
    clock = FakeClock(None)
    clock.deadline = lambda share: 0.0  # type: ignore[method-assign]
    train_models(place[1], ["gru"], clock, trials=1)
    assert trained.sources == ["recipe"]
