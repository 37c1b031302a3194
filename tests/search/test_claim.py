"""Claim trials: what a kill leaves, what is not trained twice, what no other process takes."""

from __future__ import annotations

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
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState
from support.searches import SHORT, FakeTraining, Place, open_place, until

from kagglekit.errors import KagglekitError
from kagglekit.search import claim, trial, tune, worker


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


def interrupted(place: Place) -> FrozenTrial:
    """A trial as a dead process leaves it: running, with parameters."""
    handle = place.handle()
    trial = handle.study.ask()
    claim.draw_params(handle, trial)
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
        patch.setattr(trial, "train_fold", stop)
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
    running, handle = interrupted(place), place.handle()
    with handle.locks.hold(handle.trial_lock(running.number)):
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
        handle = place.handle()
        with handle.locks.hold(handle.study.study_name, wait=False) as free:
            if free:  # else it would wait
                claim.retry_interrupted(handle)

    for owner, name in ((optuna.Study, "ask"), (claim, "draw_params"), (worker, "train_trial")):
        monkeypatch.setattr(owner, name, around(getattr(owner, name), lambda name=name: start_other(name)))
    assert place.tune(1).trials == 1
    assert moments == ["ask", "draw_params", "train_trial"]
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
    monkeypatch.setattr(tune, "open_study", around(tune.open_study, lambda: together.wait(10)))
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
