"""Windows of a row joined as in training."""

from __future__ import annotations

import numpy as np
import pytest

from kagglekit.config.names import LabelKind
from kagglekit.inference.pooling import Meaning, join_windows_of_rows
from kagglekit.scoring.thresholds import ThresholdRule
from kagglekit.training.dataset import pool
from kagglekit.training.head import Head

CLASSES = ("a", "b", "c")


@pytest.mark.parametrize("takes", ["logits", "log_odds", "log_probs"])
@pytest.mark.parametrize("how", ["mean", "max"])
@pytest.mark.parametrize("windows", [[1, 1, 1], [3, 1, 2]])
def test_as_torch_joins_them(takes: Meaning, how: str, windows: list[int]) -> None:
    logits = np.random.default_rng(0).normal(0, 3, (sum(windows), 2, 3)).astype(np.float32)
    logits -= 9 * (takes == "log_probs")
    counts, kind = np.array(windows), LabelKind.MULTI if takes == "log_odds" else LabelKind.SINGLE
    joined = join_windows_of_rows(logits, counts, how, takes)
    rule = ThresholdRule(2, 1) if takes == "log_probs" else None
    head = Head(CLASSES, (0, 1, 2), CLASSES, words=False, double=None, kind=kind, pool=how, rule=rule)
    for fold in range(2):
        np.testing.assert_allclose(joined[:, fold], pool(logits[:, fold], counts, head), atol=2e-5)
