"""Windows of a row joined as in training."""

from __future__ import annotations

import numpy as np
import pytest

from kagglekit.config.names import LabelKind
from kagglekit.inference.pooling import join_windows_of_rows
from kagglekit.training.dataset import pool
from kagglekit.training.head import Head

CLASSES = ("a", "b", "c")


@pytest.mark.parametrize("kind", list(LabelKind))
@pytest.mark.parametrize("how", ["mean", "max"])
@pytest.mark.parametrize("windows", [[1, 1, 1], [3, 1, 2]])
def test_as_torch_joins_them(kind: LabelKind, how: str, windows: list[int]) -> None:
    logits = np.random.default_rng(0).normal(0, 3, (sum(windows), 2, 3)).astype(np.float32)
    counts = np.array(windows)
    joined = join_windows_of_rows(logits, counts, how, kind is LabelKind.MULTI)
    head = Head(CLASSES, (0, 1, 2), CLASSES, words=False, double=None, kind=kind, pool=how)
    for fold in range(2):
        np.testing.assert_allclose(joined[:, fold], pool(logits[:, fold], counts, head), atol=2e-5)
