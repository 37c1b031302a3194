"""Medal zones, against the table of kaggle.com/progression."""

from __future__ import annotations

import pytest

from kagglekit.scoring.metrics import make_metric
from kagglekit.submission.medals import Medals, medals, rank_of, zone

AUC = make_metric("roc_auc")


@pytest.mark.parametrize(
    ("teams", "expected"),
    [
        (0, Medals(0, 0, 0)),
        (4, Medals(0, 0, 1)),
        (54, Medals(5, 10, 21)),  # rounded down
        (99, Medals(9, 19, 39)),
        (100, Medals(10, 20, 40)),
        (249, Medals(10, 49, 99)),
        (250, Medals(10, 50, 100)),
        (500, Medals(11, 50, 100)),
        (999, Medals(11, 50, 100)),
        (1000, Medals(12, 50, 100)),
        (1315, Medals(12, 65, 131)),  # the TensorFlow Speech Recognition Challenge
        (5000, Medals(20, 250, 500)),  # 10 + 0.2 %
    ],
)
def test_medals(teams: int, expected: Medals) -> None:
    assert medals(teams) == expected


def test_zones_end_where_the_next_begins() -> None:
    ends = [(12, "gold"), (13, "silver"), (65, "silver"), (66, "bronze"), (131, "bronze"), (132, "")]
    assert [zone(rank, 1315) for rank, _ in ends] == [name for _, name in ends]


def test_rank_of() -> None:
    others = [0.9, 0.8, 0.8, 0.7]
    assert [rank_of(score, others, AUC) for score in (0.95, 0.9, 0.8, 0.75, 0.1)] == [1, 1, 2, 4, 5]
    assert rank_of(0.5, [], AUC) == 1
    assert [rank_of(loss, [0.2, 0.4], make_metric("log_loss")) for loss in (0.1, 0.3, 0.5)] == [1, 2, 3]
