"""Windows of a recording, joined."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from kagglekit.config.names import LabelKind
from kagglekit.training.dataset import pool
from kagglekit.training.head import Head

CLASSES = ("a", "b", "c")
MULTI = Head(CLASSES, (0, 1, 2), CLASSES, words=False, double=None, kind=LabelKind.MULTI)
SINGLE = replace(MULTI, kind=LabelKind.SINGLE)
LOGITS = np.array([[1.0, -2, 0], [3, -3, -1], [-1, 5, -4], [0, 0, 0]], np.float32)
WINDOWS = np.array([3, 1])


def test_mean_averages_probabilities() -> None:
    probs = 1 / (1 + np.exp(-pool(LOGITS, WINDOWS, MULTI)))
    expected = 1 / (1 + np.exp(-LOGITS[:3]))
    np.testing.assert_allclose(probs[0], expected.mean(0), rtol=1e-5)
    np.testing.assert_allclose(probs[1], 0.5)


def test_max_takes_the_maximum_of_each_class() -> None:
    found = pool(LOGITS, WINDOWS, replace(MULTI, pool="max"))
    assert found.tolist() == [[3, 5, 0], [0, 0, 0]]


def test_max_of_one_class_a_clip_compares_probabilities() -> None:
    found = pool(LOGITS + np.array([[0], [9], [0], [0]], np.float32), WINDOWS, replace(SINGLE, pool="max"))
    expected = torch.from_numpy(LOGITS[:3]).softmax(1).amax(0).log()
    np.testing.assert_allclose(found[0], expected, rtol=1e-5)  # a constant on a window's logits means nothing


@pytest.mark.parametrize("how", ["mean", "max"])
def test_one_window_stays_as_it_is(how: str) -> None:
    assert pool(LOGITS, np.ones(4, int), replace(MULTI, pool=how)) is LOGITS
