"""The domain classifier against scikit-learn, and its AUC against a count of pairs."""

from __future__ import annotations

import numpy as np
import pytest

from kagglekit.verdict.classifier import RIDGE, Side, auc, auc_of, fit, log_odds, parts_of, told_apart


def test_fit_is_scikit_learns_logistic_regression() -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(0)
    columns, target = rng.normal(size=(90, 5)), np.arange(90) < 30
    columns[target] += 0.7
    weight = rng.uniform(0.5, 2, 90)
    share = np.where(target, weight / weight[target].sum(), weight / weight[~target].sum()) * 45
    theirs = linear_model.LogisticRegression(C=1 / RIDGE, tol=1e-8).fit(columns, target, share)
    ours = fit(columns, target, weight)
    assert ours[:-1] == pytest.approx(theirs.coef_[0], abs=1e-3)
    assert ours[-1] == pytest.approx(theirs.intercept_[0], abs=1e-3)


def test_auc_counts_pairs() -> None:
    rng = np.random.default_rng(1)
    low, high = rng.integers(0, 5, 12).astype(float), rng.integers(1, 6, 9).astype(float)
    weight, other = rng.uniform(size=12), rng.uniform(size=9)
    pairs = (high > low[:, None]) + 0.5 * (high == low[:, None])
    expected = (pairs * weight[:, None] * other).sum() / (weight.sum() * other.sum())
    assert auc_of(low, high, weight, other) == pytest.approx(expected)
    assert auc(low, high, np.ones((2, 12)), np.ones((2, 9))) == pytest.approx([pairs.mean()] * 2)


def test_no_group_is_in_two_parts() -> None:
    group = np.repeat(np.arange(13), 4)
    part = parts_of(group, 5)
    assert all(len(set(part[group == name])) == 1 for name in range(13))
    assert set(part) == set(range(5))


def sides(apart: float, groups: int = 12) -> tuple[Side, Side]:
    """Two sides of groups with places of their own, `apart` units from each other in one of 20 columns."""
    rng = np.random.default_rng(2)
    made = []
    for shift in (0.0, apart):
        group = np.repeat(np.arange(groups), 10)
        columns = rng.normal(size=(groups, 20))[group] + 0.3 * rng.normal(size=(len(group), 20))
        columns[:, 0] += shift
        made.append(Side(columns, group, np.ones(len(group))))
    return made[0], made[1]


def test_groups_that_were_heard_do_not_help() -> None:
    first, second = sides(0.0)
    alone = [side._replace(group=np.arange(len(side.group))) for side in (first, second)]
    assert told_apart(*alone).auc > 0.9  # clips of one group are in both halves
    by_group = told_apart(first, second)
    assert by_group.low < 0.5 < by_group.high
    far = told_apart(*sides(4.0))
    assert far.low > max(0.7, by_group.high)


def test_two_groups_are_enough() -> None:
    first, second = sides(4.0, groups=2)
    assert all(np.isfinite(odds).all() for odds in log_odds(first, second))
