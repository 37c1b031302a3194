"""Kaggle's medal zones: the last rank that each medal goes to, by the number of teams.

Source: https://www.kaggle.com/progression, "Competition Medals" (percentages rounded down):

| teams      | gold                     | silver  | bronze   |
|------------|--------------------------|---------|----------|
| 1 to 99    | 10 %                     | 20 %    | 40 %     |
| 100 to 249 | top 10                   | 20 %    | 40 %     |
| 250 to 999 | 10, and 1 more for 500   | top 50  | top 100  |
| from 1,000 | 10, and 1 more for 500   | 5 %     | 10 %     |

The final ranks, on the private leaderboard, decide; and not every competition gives medals.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Medals(NamedTuple):
    """The last rank of each zone; 0 where a medal goes to nobody."""

    gold: int
    silver: int
    bronze: int


def medals(teams: int) -> Medals:
    """The zones of a competition with so many teams."""
    if teams < 100:
        return Medals(teams // 10, teams // 5, teams * 2 // 5)
    if teams < 250:
        return Medals(10, teams // 5, teams * 2 // 5)
    gold = 10 + teams // 500
    return Medals(gold, 50, 100) if teams < 1000 else Medals(gold, teams // 20, teams // 10)


def zone(rank: int, teams: int) -> str:
    """ "gold", "silver", "bronze", or nothing."""
    return next((name for name, last in medals(teams)._asdict().items() if rank <= last), "")


def rank_of(score: float, others: Iterable[float]) -> int:
    """Where a score would stand among those of the other teams; equal scores share the better rank.

    Args:
        score: of a metric that is better when higher, as are all that competition.metric knows.
        others: the best score of every other team.
    """
    return 1 + sum(other > score for other in others)
