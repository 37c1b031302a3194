"""The jackknife's standard error against the usual one of a mean."""

from __future__ import annotations

import numpy as np
import pytest

from kagglekit.scoring.jackknife import jackknife_error, leave_groups_out

RNG = np.random.default_rng(0)


def test_its_error_is_that_of_a_mean() -> None:
    """Of a plain mean, the delete-one jackknife is the usual standard error."""
    values = RNG.random((20, 1))
    truth = np.ones((20, 1), bool)
    without = leave_groups_out(lambda _, scores: float(scores.mean()), truth, values, np.arange(20))
    assert jackknife_error(without) == pytest.approx(values.std(ddof=1) / 20**0.5)


def test_weights_are_left_out_with_their_rows() -> None:
    seen: list[list[float]] = []
    group, weight = np.array([0, 0, 1]), np.array([1.0, 2.0, 3.0])
    rows = np.ones((3, 1))
    leave_groups_out(lambda _t, _s, w: seen.append(w.tolist()) or 0.0, rows > 0, rows, group, weight)
    assert seen == [[3.0], [1.0, 2.0]]


def test_groups_without_which_it_is_undefined_are_left_out() -> None:
    values = np.array([0.2, np.nan, 0.4, 0.6])
    assert jackknife_error(values) == jackknife_error(values[[0, 2, 3]]) > 0
    assert jackknife_error(np.array([np.nan])) == 0.0
