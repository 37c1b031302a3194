"""Train trial after trial: failures, pruning and the deadline."""

from __future__ import annotations

import errno
import math
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from optuna.trial import TrialState
from support.searches import SHORT, FakeTraining, Place, open_place

from kagglekit.files.faults import MachineError
from kagglekit.search import limits


def test_an_unexpected_failure_is_its_trials_alone(place: Place, fake: Callable[..., FakeTraining]) -> None:
    fake(RuntimeError("out of memory\nTried to allocate 1 TiB"), 0.9)
    outcome = place.tune(2)
    assert place.trials()[0].user_attrs == {"reason": "RuntimeError: out of memory"}
    assert (outcome.trials, outcome.failed, outcome.best) == (2, 1, 1)


@pytest.mark.parametrize(
    "full",
    [
        OSError(errno.ENOSPC, "full"),
        RuntimeError(f"io: {os.strerror(errno.ENOSPC)} (os error 28)"),
        RuntimeError("I/O error: Quota exceeded (os error 122)"),
        MachineError("the disk fails: Input/output error"),
    ],
    ids=["full", "polars", "quota", "fails"],
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
        patch.setattr(limits.SearchLimits, "out_of_time", lambda _: next(late, True))
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
        patch.setattr(limits.SearchLimits, "out_of_time", lambda _: next(late, True))
        assert place.tune(1).trials == 0
    assert [job.number for job in training.jobs] == [0, 1]
