from __future__ import annotations

import numpy as np
import pytest

from kagglekit.scoring.bootstrap import RESAMPLES, resample, standard_error


def test_of_single_clips_it_is_the_standard_error_of_a_mean():
    right = (np.arange(1000) % 4 > 0).astype(float)
    error = standard_error(right, np.ones(1000), np.arange(1000))
    assert error == pytest.approx((0.75 * 0.25 / 1000) ** 0.5, rel=0.1)


def test_clips_of_one_speaker_err_together():
    right = np.repeat((np.arange(100) % 4 > 0).astype(float), 10)
    error = standard_error(right, np.ones(1000), np.repeat(np.arange(100), 10))
    assert error == pytest.approx((0.75 * 0.25 / 100) ** 0.5, rel=0.1)


def test_columns_are_drawn_alike():
    values = np.random.default_rng(0).normal(size=(50, 1))
    draws = resample(np.hstack([values, values + 1]), np.ones(50), np.array(["a", "b"] * 25))
    assert draws.shape == (RESAMPLES, 2) and np.allclose(draws[:, 1] - draws[:, 0], 1)
