"""The metrics of ranks against their definitions, and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest

from kagglekit.scoring.metrics import (
    METRICS,
    average_precisions,
    jackknife_error,
    leave_groups_out,
    lwlrap,
    mean_average_precision,
)

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("decimals", [1, 9])  # with ties, and without
def test_they_are_scikit_learns(decimals: int) -> None:
    sklearn = pytest.importorskip(
        "sklearn.metrics", reason="scikit-learn is missing: pip install -e '.[dev]'"
    )
    truth, scores = RNG.random((300, 20)) < 0.15, RNG.random((300, 20)).round(decimals)
    assert 0 < (truth.sum(1) == 0).sum() < 300  # clips of no label, too
    weight = truth.sum(1)
    expected = sklearn.label_ranking_average_precision_score(truth, scores, sample_weight=weight)
    assert lwlrap(truth, scores) == pytest.approx(expected, abs=1e-12)
    each = sklearn.average_precision_score(truth, scores, average=None)
    np.testing.assert_allclose(average_precisions(truth, scores), each, atol=1e-12)
    macro = sklearn.average_precision_score(truth, scores, average="macro")
    assert mean_average_precision(truth, scores) == pytest.approx(macro, abs=1e-12)


def precision_of_pair(truth: np.ndarray, scores: np.ndarray, label: int) -> float:
    """By the definition: of the labels ranked as high as this one or higher, the share that is right."""
    above = [name for name in range(len(scores)) if scores[name] >= scores[label]]
    return sum(bool(truth[name]) for name in above) / len(above)


@pytest.mark.parametrize("ties", [False, True])
def test_lwlrap_is_its_definition(ties: bool) -> None:
    truth, scores = RNG.random((50, 7)) < 0.3, RNG.random((50, 7))
    scores = scores.round(1) if ties else scores
    pairs = [
        precision_of_pair(truth[clip], scores[clip], label)
        for clip, label in zip(*np.nonzero(truth), strict=True)
    ]
    assert lwlrap(truth, scores) == pytest.approx(np.mean(pairs), abs=1e-12)


@pytest.mark.parametrize("ties", [False, True])
def test_average_precision_is_the_area_in_steps(ties: bool) -> None:
    truth, scores = RNG.random((60, 3)) < 0.4, RNG.random((60, 3))
    scores = scores.round(1) if ties else scores
    for name, found in enumerate(average_precisions(truth, scores)):
        area, recall = 0.0, 0.0
        for limit in sorted(set(scores[:, name]), reverse=True):  # each a threshold, as scikit-learn has it
            chosen = scores[:, name] >= limit
            hits = (truth[:, name] & chosen).sum()
            now = hits / truth[:, name].sum()
            area += (now - recall) * hits / chosen.sum()
            recall = now
        assert found == pytest.approx(area, abs=1e-12)


def test_metrics_of_the_best_the_worst_and_nothing() -> None:
    truth = np.array([[True, False, True], [False, True, False]])
    assert lwlrap(truth, truth.astype(float)) == mean_average_precision(truth, truth.astype(float)) == 1.0
    assert lwlrap(truth, 1.0 - truth) == pytest.approx((2 / 3 + 2 / 3 + 1 / 3) / 3)
    nothing = np.zeros((2, 3), bool)
    assert lwlrap(nothing, RNG.random((2, 3))) == mean_average_precision(nothing, RNG.random((2, 3))) == 0.0
    one = np.array([[True, False], [False, False]])
    assert np.isnan(
        average_precisions(one, RNG.random((2, 2)))[1]
    )  # a class without clips counts for nothing


def test_the_jackknifes_error_is_that_of_a_mean() -> None:
    """Of a plain mean, the delete-one jackknife is the usual standard error."""
    values = RNG.random((20, 1))
    truth = np.ones((20, 1), bool)
    without = leave_groups_out(lambda _, scores: float(scores.mean()), truth, values, np.arange(20))
    assert jackknife_error(without) == pytest.approx(values.std(ddof=1) / 20**0.5)


def test_accuracy_by_hand() -> None:
    truth = np.array([[True, False], [False, True], [True, False], [False, True]])
    scores = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.3, 0.7]])
    assert METRICS["accuracy"](truth, scores) == 0.75 and not METRICS["accuracy"].ranks
    assert METRICS["lwlrap"].ranks and METRICS["map"].ranks
