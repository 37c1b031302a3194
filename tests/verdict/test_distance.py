"""Distances from what a fold trains on."""

from __future__ import annotations

import numpy as np
import pytest

from kagglekit.verdict.distance import Folds, beyond, distances


def folds(*fold: int, heldout: tuple[int, ...] | None = None) -> Folds:
    held = np.full(len(fold), -1) if heldout is None else np.array(heldout)
    return Folds(np.array(fold), held, np.where(np.array(fold) >= 0, 1.0, 0.0))


def test_a_fold_does_not_hear_its_own_clips() -> None:
    train = np.array([[0.0], [0.0], [0.0], [4.0], [4.0], [4.0]])
    spread = train.std()
    by_place = distances(train, np.array([[0.0]]), folds(0, 0, 0, 1, 1, 1))
    assert by_place.validation * spread == pytest.approx([4] * 6)
    assert by_place.test * spread == pytest.approx([2])  # 4 for fold 0, 0 for fold 1
    mixed = distances(train, np.array([[8.0]]), folds(0, 1, 2, 0, 1, 2))
    assert mixed.validation * spread == pytest.approx([np.sqrt(16 / 3)] * 6)  # the third nearest is 4 away
    # each fold has two clips at 0 and two at 4: of the three nearest to 8, two are 4 away and one is 8
    assert mixed.test * spread == pytest.approx([np.sqrt((16 + 16 + 64) / 3)])


def test_held_out_and_trained_only_clips() -> None:
    train = np.array([[0.0], [9.0], [0.0], [3.0]])
    only = distances(train, train[:1], folds(0, 0, 1, -2))
    assert len(only.validation) == 3
    usual = distances(train, train[:1], folds(0, 1, 0, 1)).validation * train.std()
    held = distances(train, train[:1], folds(0, 1, 0, 1, heldout=(-1, -1, -1, 0))).validation * train.std()
    assert usual[0] == pytest.approx(np.sqrt((81 + 9) / 2))
    assert held[0] == pytest.approx(9)  # 3 is held out of fold 0, which validates the clip at 0


def test_beyond_the_usual() -> None:
    usual, weight = np.arange(100.0), np.ones(100)
    assert beyond(np.array([97.0, 97.5, 98.5, 200]), usual, weight).tolist() == [False, True, True, True]
    assert beyond(np.array([60.0]), usual, np.where(usual < 50, 1.0, 0.0)).tolist() == [True]
