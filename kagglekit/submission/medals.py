"""Kaggle's medal zones: the last rank that wins each medal, by the number of teams.

Source: https://www.kaggle.com/progression, "Competition Medals" (percentages rounded down):

| teams      | gold                     | silver  | bronze   |
|------------|--------------------------|---------|----------|
| 1 to 99    | 10 %                     | 20 %    | 40 %     |
| 100 to 249 | top 10                   | 20 %    | 40 %     |
| 250 to 999 | 10, and 1 more for 500   | top 50  | top 100  |
| from 1,000 | 10, and 1 more for 500   | 5 %     | 10 %     |

Medals go by the final ranks, on the private leaderboard; not every competition awards them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from kagglekit.scoring.metrics import Metric


class Medals(NamedTuple):
    """The last rank of each zone; 0 where a medal is not awarded."""

    gold: int
    silver: int
    bronze: int


def medals(teams: int) -> Medals:
    """Return the zones of a competition with this many teams."""
    if teams < 100:
        return Medals(teams // 10, teams // 5, teams * 2 // 5)
    if teams < 250:
        return Medals(10, teams // 5, teams * 2 // 5)
    gold = 10 + teams // 500
    return Medals(gold, 50, 100) if teams < 1000 else Medals(gold, teams // 20, teams // 10)


def zone(rank: int, teams: int) -> str:
    """Return "gold", "silver", "bronze" or an empty string."""
    return next((name for name, last in medals(teams)._asdict().items() if rank <= last), "")


def rank_of(score: float, others: Iterable[float], metric: Metric) -> int:
    """Return the rank of a score among the other teams' best; equal scores share a rank."""
    return 1 + sum(metric.better(other, score) for other in others)
