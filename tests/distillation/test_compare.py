"""How much better students are than the same models without teachers."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from kagglekit.distillation.compare import Gains
from kagglekit.scoring.metrics import make_metric


def runs(*scores: float) -> list[SimpleNamespace]:
    return [SimpleNamespace(score=SimpleNamespace(oof=score), id="0" * 12) for score in scores]


@pytest.mark.parametrize(
    ("metric", "students", "baselines", "summary"),
    [
        ("accuracy", [0.91], [0.9], "+1.00 points (1 seed: it may be chance)"),
        ("lwlrap", [0.91, 0.93], [0.9, 0.9], "+2.00 ± 1.00 points (2 seeds)"),
        ("log_loss", [0.5, 0.3], [0.6, 0.6], "+0.2000 ± 0.1000 (2 seeds)"),  # less is better
        ("log_loss", [0.5], [0.6], "+0.1000 (1 seed: it may be chance)"),
    ],
)
def test_a_gain_is_positive_where_the_student_is_better(metric, students, baselines, summary):
    kind = "single" if metric == "accuracy" else "multi"
    gains = Gains(runs(*students), runs(*baselines), make_metric(metric, kind))
    assert gains.summary() == summary
