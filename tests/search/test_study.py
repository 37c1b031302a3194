"""Searches: what counts as a trial, what a kill leaves, what is not trained twice."""

from __future__ import annotations

import errno
import math
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import optuna
import polars as pl
import pytest
from optuna.trial import FrozenTrial, TrialState
from support import tiny

from kagglekit.config import Config
from kagglekit.config.load import load_config
from kagglekit.data.clips import validation_rows
from kagglekit.data.prepare import Prepared, prepare
from kagglekit.errors import ConfigError, KagglekitError, MissingError
from kagglekit.files.workspace import Workspace
from kagglekit.hosts import open_host
from kagglekit.hosts.fetch import fetch
from kagglekit.scoring.cv import Score
from kagglekit.search import study as studies
from kagglekit.search import trial as trials_of
from kagglekit.search import tune as search
from kagglekit.search.study import Desk
from kagglekit.terminal import console
from kagglekit.training.loop import Fold, Report
from kagglekit.training.plan import resolve
from kagglekit.training.predict import predictions

SHORT = ("search.epochs=1", "search.trials=2")


class Place(NamedTuple):
    """A prepared competition."""

    config: Config
    workspace: Workspace
    prepared: Prepared

    def tune(self, trials: int | None = None, **kwargs: Any) -> studies.Outcome:
        return search.tune(self.prepared, "gru", trials=trials, **kwargs)

    def desk(self) -> Desk:
        return studies.open_desk(self.prepared, resolve(self.config, "gru"))

    def study(self) -> optuna.Study:
        return self.desk().study

    def recipe(self) -> dict[str, Any]:
        return self.desk().space.recipe()

    def trials(self) -> list[FrozenTrial]:
        return self.study().get_trials(deepcopy=False)


def open_place(yaml: Path, *overrides: str) -> Place:
    config = load_config(yaml, overrides)
    workspace = Workspace(config)
    fetch(workspace, open_host(config, workspace.root))
    return Place(config, workspace, prepare(workspace))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fetched and prepared competition; to be copied, not changed."""
    folder = tmp_path_factory.mktemp("made")
    open_place(tiny.make(folder))
    return folder


@pytest.fixture
def yaml(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "tiny")
    return tmp_path / "tiny" / "competition.yaml"


@pytest.fixture
def place(yaml: Path) -> Place:
    return open_place(yaml, *SHORT)


class FakeTraining:
    """Stands in for train_fold: CV scores to report, one list a fold; OOF predictions that are all right."""

    def __init__(self, *cvs: float | Exception) -> None:
        self.cvs = list(cvs)
        self.jobs: list[Fold] = []

    def __call__(self, job: Fold, report: Report | None = None) -> pl.DataFrame:
        self.jobs.append(job)
        cv = self.cvs.pop(0)
        if isinstance(cv, Exception):
            raise cv
        if report is not None:
            for epoch in range(job.plan.train.epochs):
                report(epoch, Score(cv, 0, 1, cv, None, {}, ()))
        rows = validation_rows(job.dataset.clips, job.number)
        return predictions(rows, self._logits(rows, job.config, cv))

    def _logits(self, rows: pl.DataFrame, config: Config, cv: float) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Right where cv is above a half, else all of the first class."""
        index = {name: i for i, name in enumerate(config.labels.classes)}
        chosen = [index[label] if cv > 0.5 else 0 for label in rows["label"]]
        return np.eye(len(index), dtype=np.float32)[chosen]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Callable[..., FakeTraining]:
    def install(*cvs: float | Exception) -> FakeTraining:
        training = FakeTraining(*cvs)
        monkeypatch.setattr(trials_of, "train_fold", training)
        return training

    return install


# --- trials ---


def test_the_recipe_is_the_first_trial(place: Place) -> None:
    outcome = place.tune()
    first, second = place.trials()
    assert first.params == place.recipe()
    assert first.params["train.lr"] == 0.01
    assert second.params != first.params
    assert outcome.trials == 2 and outcome.best in (0, 1)
    assert outcome.value == max(first.value or 0, second.value or 0)
    assert outcome.params == place.trials()[outcome.best].params


def test_trials_of_earlier_calls_count(place: Place, fake: Callable[..., FakeTraining]) -> None:
    training = fake(0.9, 0.9, 0.9)
    assert [place.tune(n).trials for n in (1, 3, 3, 2)] == [1, 3, 3, 3]
    assert len(training.jobs) == 3


def test_a_search_that_goes_on_draws_anew(place: Place, fake: Callable[..., FakeTraining]) -> None:
    fake(*[0.9] * 4)
    for trials in (1, 2, 3, 4):
        place.tune(trials)
    assert len({trial.params["train.weight_decay"] for trial in place.trials()}) == 4


def test_equal_parameters_are_answered_from_the_log(place: Place, fake: Callable[..., FakeTraining]) -> None:
    training = fake(0.9)
    place.tune(1)
    place.study().enqueue_trial(place.trials()[0].params)
    outcome = place.tune(2)
    assert len(training.jobs) == 1 and outcome.trials == 2
    assert place.trials()[1].value == place.trials()[0].value
    assert place.trials()[1].user_attrs["same_as"] == 0


def test_a_failing_trial_is_recorded_with_its_reason(place: Place, fake: Callable[..., FakeTraining]) -> None:
    fake(KagglekitError("the loss is NaN"), 0.9)
    outcome = place.tune(2)
    failed = place.trials()[0]
    assert (failed.state, failed.user_attrs) == (TrialState.PRUNED, {"reason": "the loss is NaN"})
    assert (outcome.trials, outcome.failed, outcome.best) == (2, 1, 1)


def test_a_failed_trial_is_not_tried_again(place: Place, fake: Callable[..., FakeTraining]) -> None:
    fake(KagglekitError("the loss is NaN"), 0.9)
    place.tune(1)
    place.tune(2)
    assert [trial.state for trial in place.trials()] == [TrialState.PRUNED, TrialState.COMPLETE]


def test_an_unexpected_failure_is_its_trials_alone(place: Place, fake: Callable[..., FakeTraining]) -> None:
    fake(RuntimeError("out of memory\nTried to allocate 1 TiB"), 0.9)
    outcome = place.tune(2)
    assert place.trials()[0].user_attrs == {"reason": "RuntimeError: out of memory"}
    assert (outcome.trials, outcome.failed, outcome.best) == (2, 1, 1)


@pytest.mark.parametrize(
    "full", [OSError(errno.ENOSPC, "full"), RuntimeError(f"io: {os.strerror(errno.ENOSPC)} (os error 28)")]
)
def test_a_full_disk_is_no_trials_fault(
    full: Exception, place: Place, fake: Callable[..., FakeTraining]
) -> None:
    fake(full, 0.9)
    with pytest.raises(type(full)):
        place.tune(1)
    outcome = place.tune(1)
    assert (outcome.trials, outcome.failed) == (1, 0)
    assert place.trials()[1].params == place.trials()[0].params


def test_an_absurd_learning_rate_fails_its_trial_alone(place: Place, yaml: Path) -> None:
    wild = open_place(
        yaml, "models.gru.train={lr: 1.0e+30, clip_norm: 0, ema: 0, optimizer: sgd, bf16: false}", *SHORT
    )
    outcome = wild.tune(1)
    (trial,) = wild.trials()
    assert (outcome.trials, outcome.failed, outcome.best) == (1, 1, None)
    assert math.isnan(outcome.value) and outcome.params == {}
    assert "loss" in trial.user_attrs["reason"]
    assert not list(wild.workspace.studies.glob("gru-*/*/"))  # its folder is gone


def test_no_best_plan_without_a_finished_trial(place: Place, fake: Callable[..., FakeTraining]) -> None:
    fake(KagglekitError("no"))
    place.tune(1)
    with pytest.raises(MissingError, match="no finished trial of gru") as caught:
        studies.best_plan(place.prepared, "gru")
    assert caught.value.hint == "search first: kagglekit tune --model gru"


def test_best_plan_is_the_best_trials(place: Place, fake: Callable[..., FakeTraining]) -> None:
    fake(0.1, 0.9, 0.2)
    outcome = place.tune(3)
    _, plan, source = studies.best_plan(place.prepared, "gru")
    assert outcome.best == 1
    assert source == f"study {outcome.name} trial 1"
    assert plan.train.weight_decay == outcome.params["train.weight_decay"] != 0.02
    assert plan.train.epochs == 12  # the recipe's, not a trial's
    assert plan.params["hidden"] == outcome.params["model.hidden"]


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
    monkeypatch.setattr(studies.logmel, "VERSION", 1000)
    assert place.study().study_name != name


def test_the_seed_and_the_number_of_trials_make_no_other_study(place: Place, yaml: Path) -> None:
    other = open_place(yaml, *SHORT, "search.seed=5", "search.trials=9")
    assert other.study().study_name == place.study().study_name


# --- pruning and time ---


def test_a_losing_trial_is_pruned(yaml: Path, fake: Callable[..., FakeTraining]) -> None:
    place = open_place(yaml, "search.epochs=6")
    fake(0.8, 0.8, 0.8, 0.8, 0.3, 0.9)
    outcome = place.tune(6)
    states = [trial.state for trial in place.trials()]
    assert states == [TrialState.COMPLETE] * 4 + [TrialState.PRUNED, TrialState.COMPLETE]
    assert max(place.trials()[4].intermediate_values) == 1  # not before the warm-up
    assert (outcome.trials, outcome.pruned) == (6, 1)


def test_folds_after_a_losing_one_are_not_trained(yaml: Path, fake: Callable[..., FakeTraining]) -> None:
    place = open_place(yaml, "search.epochs=1", "search.folds=2")
    training = fake(*[0.9] * 8, 0.1, 0.9, 0.9)
    place.tune(6)
    assert [job.number for job in training.jobs] == [0, 1] * 4 + [0] + [0, 1]
    assert place.trials()[4].state == TrialState.PRUNED


def test_no_trial_begins_after_the_deadline(place: Place, fake: Callable[..., FakeTraining]) -> None:
    training = fake(0.9)
    outcome = place.tune(2, deadline=time.monotonic() - 1)
    assert (outcome.trials, outcome.best, training.jobs) == (0, None, [])


def test_a_trial_that_the_deadline_cuts_is_gone_on_with(yaml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = open_place(yaml, "search.epochs=3")
    late = iter([False] * 3)  # the loop, before training, epoch 1; then it is over
    with monkeypatch.context() as patch:
        patch.setattr(search.Limits, "late", lambda _: next(late, True))
        cut = place.tune(2)
    assert (cut.trials, cut.pruned, cut.failed, cut.best) == (0, 0, 0, None)
    (first,) = place.trials()
    assert (first.state, first.user_attrs) == (TrialState.FAIL, {})
    assert list(first.intermediate_values) == [0, 1]

    outcome = place.tune(1)
    second = place.trials()[1]
    assert (second.params, second.user_attrs["again"]) == (first.params, 0)
    assert list(second.intermediate_values) == [0, 1, 2]  # two of them as the first had them
    assert second.intermediate_values.items() > first.intermediate_values.items()
    assert (outcome.trials, outcome.best) == (1, 1)


def test_the_deadline_cuts_later_folds_too(yaml: Path, fake: Callable[..., FakeTraining]) -> None:
    place = open_place(yaml, "search.epochs=2", "search.folds=2")
    training = fake(0.9, 0.9)
    late = iter([False] * 4)  # the loop, before training, both epochs of fold 0; then it is over
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search.Limits, "late", lambda _: next(late, True))
        assert place.tune(1).trials == 0
    assert [job.number for job in training.jobs] == [0, 1]


# --- kills ---


def interrupted(place: Place) -> FrozenTrial:
    """A trial as a dead process leaves it: running, with parameters."""
    desk = place.desk()
    trial = desk.study.ask()
    search.draw(desk, trial)
    return place.trials()[trial.number]


def test_an_interrupted_trial_is_tried_again(place: Place, fake: Callable[..., FakeTraining]) -> None:
    fake(0.9, 0.9, 0.9)
    place.tune(1)
    dead = interrupted(place)
    outcome = place.tune(3)
    trials = place.trials()
    assert (trials[1].state, trials[1].user_attrs) == (TrialState.FAIL, {})
    assert trials[2].params == dead.params and trials[2].user_attrs["again"] == 1
    assert outcome.trials == 3 and len(trials) == 4
    assert len({str(trial.params) for trial in trials}) == 3


def test_it_is_tried_again_once(place: Place, fake: Callable[..., FakeTraining]) -> None:
    fake(0.9, 0.9, 0.9)
    place.tune(1)
    interrupted(place)
    place.tune(2)
    place.tune(3)
    assert [trial.user_attrs.get("again") for trial in place.trials()] == [None, None, 1, None]


def test_ctrl_c_loses_no_parameters(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(trials_of, "train_fold", stop)
        with pytest.raises(KeyboardInterrupt):
            place.tune(1)
    assert caplog.text == ""  # Optuna would show a traceback
    outcome = place.tune(1)
    first, second = place.trials()
    assert second.params == first.params == place.recipe()
    assert (outcome.trials, outcome.failed, outcome.best) == (1, 0, 1)


def test_a_trial_killed_before_it_drew_keeps_what_it_was_given(
    place: Place, fake: Callable[..., FakeTraining]
) -> None:
    fake(0.9)
    given = place.recipe() | {"train.lr": 0.005}
    place.study().enqueue_trial(given)
    place.study().ask()
    place.tune(1)
    assert place.trials()[1].params == given


def test_a_trial_of_a_living_process_is_left_alone(place: Place, fake: Callable[..., FakeTraining]) -> None:
    fake(0.9)
    running, desk = interrupted(place), place.desk()
    with desk.locks.hold(desk.trial_lock(running.number)):
        outcome = place.tune(2, deadline=time.monotonic() + 1)
    assert place.trials()[0].state == TrialState.RUNNING
    assert len(place.trials()) == 2 and outcome.trials == 1  # it counts as one of the two


def test_a_trial_that_has_begun_is_never_taken_for_dead(
    place: Place, fake: Callable[..., FakeTraining], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process that starts at any moment of the trial finds it locked, or waits to look."""
    fake(0.9)
    moments: list[str] = []

    def start_other(moment: str) -> None:
        moments.append(moment)
        desk = place.desk()
        with desk.locks.take(desk.study.study_name) as free:
            if free:  # else it would wait
                studies.recover(desk)

    for owner, name in ((optuna.Study, "ask"), (search, "draw"), (search, "train_trial")):
        monkeypatch.setattr(owner, name, around(getattr(owner, name), lambda name=name: start_other(name)))
    assert place.tune(1).trials == 1
    assert moments == ["ask", "draw", "train_trial"]
    assert [trial.state for trial in place.trials()] == [TrialState.COMPLETE]


def around(function: Callable[..., Any], after: Callable[[], object]) -> Callable[..., Any]:
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        after()
        return result

    return wrapped


def test_two_processes_at_once(
    yaml: Path, fake: Callable[..., FakeTraining], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One recipe, no parameters twice, and each trial in a folder of its own."""
    places = [open_place(yaml, *SHORT) for _ in range(2)]
    together = threading.Barrier(2)
    training = fake(*[0.9] * 8)
    monkeypatch.setattr(search, "open_desk", around(search.open_desk, lambda: together.wait(10)))
    with ThreadPoolExecutor() as pool:
        outcomes = list(pool.map(lambda place: place.tune(6), places))
    monkeypatch.undo()
    trials = places[0].trials()
    assert {trial.state for trial in trials} == {TrialState.COMPLETE}
    assert [outcome.trials for outcome in outcomes] == [6, 6]
    assert len({str(trial.params) for trial in trials}) == len(trials)
    assert len({job.folder for job in training.jobs}) == len(trials)


def test_equal_parameters_at_once_are_trained_once(place: Place, fake: Callable[..., FakeTraining]) -> None:
    training = fake(0.9)
    given = place.recipe()
    for _ in range(2):
        place.study().enqueue_trial(given)
    running = (TrialState.RUNNING,)
    logits, study = training._logits, place.study()

    def slow(*args: Any) -> Any:  # the first trains until the second has begun
        until(lambda: len(study.get_trials(deepcopy=False, states=running)) == 2, 10)
        return logits(*args)

    training._logits = slow  # type: ignore[method-assign]
    others = [open_place(place.config.workspace.parent / "competition.yaml", *SHORT) for _ in range(2)]
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda other: other.tune(2), others))
    assert len(training.jobs) == 1
    assert sorted("same_as" in trial.user_attrs for trial in place.trials()) == [False, True]


def test_a_journal_that_was_cut_off_goes_on(place: Place, fake: Callable[..., FakeTraining]) -> None:
    fake(0.9, 0.9, 0.9)
    place.tune(1)
    journal = place.workspace.studies / "gru.journal"
    journal.write_bytes(journal.read_bytes() + b'{"op_code": 4, "worker')
    assert place.tune(2).trials == 2
    assert place.tune(3).trials == 3
    assert b'"worker{' not in journal.read_bytes()


def test_sigkill_in_the_middle_of_a_trial(yaml: Path) -> None:
    settings = ("search.epochs=25", "search.trials=3")
    folder = yaml.parent / ".kagglekit" / "studies"
    options = [word for text in settings for word in ("--set", text)]
    command = [sys.executable, "-m", "kagglekit", "-C", str(yaml), "tune", "--model", "gru", "--no-train"]
    with subprocess.Popen(
        [*command, *options], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    ) as child:
        # the second trial has begun and has finished an epoch
        until(
            lambda: any(folder.glob("gru-*/trial_1.lock")) and any(folder.glob("gru-*/*/*/last.safetensors"))
        )
        os.kill(child.pid, signal.SIGKILL)
    assert child.returncode == -signal.SIGKILL

    place = open_place(yaml, *settings)
    killed = place.trials()[1]
    assert killed.state == TrialState.RUNNING and len(place.trials()) == 2
    outcome = place.tune()
    trials = place.trials()
    assert (trials[1].state, trials[2].user_attrs["again"]) == (TrialState.FAIL, 1)
    assert trials[2].params == killed.params
    assert killed.intermediate_values.items() <= trials[2].intermediate_values.items()
    assert (outcome.trials, len(trials)) == (3, 4)
    assert len({str(trial.params) for trial in trials}) == 3
    assert not list(folder.glob("gru-*/*/"))


def until(happened: Callable[[], bool], seconds: float = 60) -> None:
    """Wait for something that another process does."""
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.005)


# --- endings ---


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
    assert search.since_progress(study) == 2  # 0.71 is more than 0.705, 0.704 was not


def test_what_the_search_saves_is_told(yaml: Path, fake: Callable[..., FakeTraining]) -> None:
    place = open_place(yaml, "search.epochs=10")
    fake(0.8, 0.8, 0.8, 0.8, 0.3)
    assert place.tune(5).saved == pytest.approx(8 / 50)  # the last was stopped after its second epoch


# --- other studies ---


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


def test_a_new_study_says_what_is_different(
    place: Place, yaml: Path, fake: Callable[..., FakeTraining], capsys: pytest.CaptureFixture[str]
) -> None:
    fake(0.9, 0.9)
    place.tune(1)
    console.configure()
    open_place(yaml, "search.epochs=2").tune(1)
    assert "a new study: settings differ from the last one's" in capsys.readouterr().err


def test_the_same_seed_draws_the_same_trials(
    made: Path, tmp_path: Path, fake: Callable[..., FakeTraining]
) -> None:
    drawn = []
    for name in ("a", "b"):
        shutil.copytree(made, tmp_path / name)
        place = open_place(tmp_path / name / "competition.yaml", *SHORT)
        fake(0.9, 0.8, 0.7, 0.6, 0.9, 0.8, 0.7)
        place.tune(7)
        drawn.append([trial.params for trial in place.trials()])
    assert drawn[0] == drawn[1]


# --- several objectives ---


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


def test_latency_is_in_milliseconds(yaml: Path, fake: Callable[..., FakeTraining]) -> None:
    place = open_place(yaml, "search.epochs=1", "search.objectives=[score, latency]")
    fake(0.9)
    (row,) = place.tune(1).front
    assert 0 < row["latency"] < 10_000


# --- several processes ---


@pytest.mark.skipif(len(getattr(os, "sched_getaffinity", lambda _: {0})(0)) < 2, reason="needs two cores")
def test_two_jobs_make_one_study(yaml: Path) -> None:
    place = open_place(yaml, "search.epochs=1")
    outcome = place.tune(4, jobs=2)
    trials = place.trials()
    assert outcome.trials == len(trials) == 4
    assert {trial.state for trial in trials} <= {TrialState.COMPLETE, TrialState.PRUNED}
    assert len({str(trial.params) for trial in trials}) == 4
    assert trials[0].params == place.recipe()


@pytest.mark.slow
@pytest.mark.skipif(len(getattr(os, "sched_getaffinity", lambda _: {0})(0)) < 2, reason="needs two cores")
def test_another_process_takes_the_place_of_a_killed_one(yaml: Path) -> None:
    place = open_place(yaml, "search.epochs=30")
    command = [sys.executable, "-m", "kagglekit", "-C", str(yaml), "--set", "search.epochs=30", "tune"]
    options = ["--model", "gru", "--trials", "4", "--jobs", "2", "--no-train"]
    child = subprocess.Popen([*command, *options], stderr=subprocess.PIPE, text=True)
    try:
        while child.poll() is None:  # until both are at work
            running = [t for t in place.trials() if t.state == TrialState.RUNNING and t.intermediate_values]
            if len(running) == 2:
                break
            time.sleep(0.1)
        tasks = Path(f"/proc/{child.pid}/task/{child.pid}/children")
        workers = [
            int(pid)
            for pid in tasks.read_text().split()
            if "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()
        ]
        os.kill(workers[0], signal.SIGKILL)
    finally:
        said = child.communicate(timeout=300)[1]
    assert child.returncode == 0, said
    assert "a process was killed (signal 9); another takes its place" in said
    trials = place.trials()
    ended = [t for t in trials if t.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    assert len(ended) == len({str(trial.params) for trial in ended}) == 4
    assert sum(trial.state == TrialState.FAIL for trial in trials) == 1  # and its parameters were tried again


def test_more_jobs_than_cores_are_refused(place: Place) -> None:
    with pytest.raises(ConfigError, match="--jobs 1000: this machine has"):
        place.tune(1, jobs=1000)
