"""Rules that join the rows of a recording."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from kagglekit.config import Ensemble
from kagglekit.ensemble import smoothing
from kagglekit.ensemble.nested_cv import blends_of_folds, compare_smoothings, smoothed
from kagglekit.ensemble.smoothing import ALONE, Smoothing, describe, fit
from kagglekit.scoring.metrics import make_metric
from kagglekit.scoring.numerics import sigmoid
from kagglekit.scoring.oof import Oof, recordings_of
from kagglekit.scoring.task import Task

CLASSES = tuple("abcd")
TASK = Task(CLASSES, CLASSES, None, make_metric("roc_auc_macro", "multi"), ";")


def soundscapes(*, linger: bool, recordings: int = 60, windows: int = 12, seed: int = 0) -> Oof:
    """Windows of recordings in which calls last for some windows, or are anywhere."""
    rng = np.random.default_rng(seed)
    truth = np.zeros((recordings, windows, len(CLASSES)), bool)
    for one, place in np.argwhere(rng.uniform(size=(recordings, len(CLASSES))) < 0.4):
        start = rng.integers(windows - 4)
        here = np.arange(start, start + 5) if linger else rng.choice(windows, 5, replace=False)
        truth[one, here, place] = True
    if not linger:  # nothing of one window tells of another
        truth = rng.permutation(truth.reshape(-1, len(CLASSES))).reshape(truth.shape)
    truth = truth.reshape(-1, len(CLASSES))
    log = 2.0 * (truth - 0.5) + rng.normal(0, 1.5, truth.shape)
    recording = np.repeat(np.arange(recordings), windows)
    shuffled = rng.permutation(len(truth))
    columns = (np.ones(len(truth)), recording % 4, recording // 3, np.empty((len(truth), 0)), None)
    start = np.tile(np.arange(windows) * 5.0, recordings)
    return Oof(sigmoid(log)[None], truth, *columns, recording, start).select(shuffled)


def test_neighbours_are_joined_in_the_order_of_time_within_a_recording() -> None:
    probs = np.array([[0.8], [0.1], [0.4], [0.2], [1.0]])
    recording, start = np.array([1, 0, 1, 1, 0]), np.array([10.0, 5.0, 0.0, 5.0, 0.0])
    joined = Smoothing((0.25, 0.5, 0.25), 0.0, True)(probs, recording, start)
    # recording 1: 0.4 0.2 0.8; recording 0: 1.0 0.1
    np.testing.assert_allclose(joined[:, 0], [0.65, 0.325, 0.35, 0.4, 0.775])
    scaled = Smoothing(ALONE, 0.5, True)(probs, recording, start)
    np.testing.assert_allclose(scaled[:, 0], probs[:, 0] * np.array([0.8, 1, 0.8, 0.8, 1]) ** 0.5)
    alone = Smoothing((0.2,) * 5, 1.0, True)(probs, np.arange(5), start)
    np.testing.assert_allclose(alone, probs**2)


def test_without_windows_to_fit_on_a_named_rule_has_fixed_values() -> None:
    whole = soundscapes(linger=True)._replace(recording=None, start=None)
    assert fit("neighbours", whole, TASK) == Smoothing((0.25, 0.5, 0.25), 0.0, True)
    assert fit("recording", whole, TASK).power == 0.5 and fit("none", whole, TASK).is_plain
    (probs,) = whole.probs
    np.testing.assert_array_equal(fit("both", whole, TASK).of(whole), probs)  # it has no neighbours itself


def test_rows_of_one_class_each_add_up_to_one() -> None:
    probs = np.random.default_rng(0).dirichlet(np.ones(4), 30)
    joined = Smoothing((0.25, 0.5, 0.25), 0.5, False)(probs, np.arange(30) // 7, np.arange(30.0))
    np.testing.assert_allclose(joined.sum(1), 1)
    assert not np.allclose(joined, probs)


def test_nested_cv_takes_what_gains_and_nothing_where_rows_tell_nothing_of_each_other() -> None:
    lasting, random = (soundscapes(linger=linger) for linger in (True, False))
    table = compare_smoothings(blends_of_folds(lasting, Ensemble(), TASK, "mean"), TASK)
    assert {one.name for one in table.results} == set(smoothing.OPTIONS)
    assert table.chosen in ("neighbours", "both") and table.result(table.chosen).gain > 0.02
    assert compare_smoothings(blends_of_folds(random, Ensemble(), TASK, "mean"), TASK).chosen == "none"


@pytest.mark.parametrize("name", ["neighbours", "recording", "both"])
def test_no_row_has_a_say_in_its_own_smoothing(name: str) -> None:
    oof = soundscapes(linger=True)
    wrong = oof._replace(target=np.where((oof.fold == 1)[:, None], ~oof.target, oof.target))
    honest, other = (
        smoothed(blends_of_folds(one, Ensemble(), TASK, "mean"), TASK, name)[1].probs for one in (oof, wrong)
    )
    assert (honest == other).all() and (honest != oof.probs).any()


def test_a_rule_is_fitted_on_whole_recordings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smoothing, "MOST_ROWS", 100)
    some = smoothing._some(soundscapes(linger=True))
    assert some.recording is not None and len(some.recording) == 96
    assert (np.unique(some.recording, return_counts=True)[1] == 12).all()
    assert fit("neighbours", soundscapes(linger=True), TASK).power == 0


def test_recordings_are_known_by_their_paths() -> None:
    clips = pl.DataFrame(
        {
            "clip_id": ["b_5", "a_10", "b_10"],
            "path": ["b", "a", "b"],
            "start": [None, 7.5, None],
            "row": [3, 1, 4],
        }
    )
    recording, start = recordings_of(clips)
    assert recording is not None and start is not None
    assert recording.tolist() == [1, 0, 1] and start.tolist() == [3.0, 7.5, 4.0]
    assert recordings_of(clips[:2]) == (None, None)


def test_a_rule_says_what_was_fitted() -> None:
    assert describe(Smoothing(ALONE, 0.0, True).facts()) == ""
    both = Smoothing((0.25, 0.5, 0.25), 0.5, True)
    assert describe(both.facts()) == "weights 0.25 0.5 0.25, the recording's highest to the power 0.5"
    assert describe(Smoothing(ALONE, 1.0, True).facts()) == "the recording's highest to the power 1"
