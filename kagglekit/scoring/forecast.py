"""Forecast the public score from CV, and measure how well earlier CV scores forecast it."""

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

from kagglekit.scoring.cv import Score
from kagglekit.scoring.metrics import Metric

PUBLIC_SHARE = 0.3  # of the rows behind the public score: the challenge's, and most others'


class Expected(NamedTuple):
    """A forecast of a public score."""

    score: float
    low: float
    """Lower end of its 95 % interval: the error of the CV score, and the draw of the public rows."""
    high: float


def expected(score: Score, rows: int, metric: Metric) -> Expected:
    """Forecast the public score for a test of `rows` rows.

    The draw of the public rows has at most the variance of as many answers that are right or wrong where the
    metric is within 0 and 1. Of other metrics it is taken to be that of the OOF rows.
    """
    error = (score.high - score.low) / (2 * 1.96)
    draw = error
    if metric.in_points:
        draw = math.sqrt(score.cv * (1 - score.cv) / max(PUBLIC_SHARE * rows, 1))
    margin = 1.96 * math.hypot(error, draw)
    return Expected(score.cv, metric.clip(score.cv - margin), metric.clip(score.cv + margin))


class CvVsLb(NamedTuple):
    """How well CV scores forecast public ones."""

    pairs: int
    mean_abs: float
    """Mean of |CV - public|."""
    mean: float
    """Mean of CV - public."""
    rank: float | None
    """Spearman's rank correlation; None for fewer than three pairs, or where all of one side are equal."""
    mean_interval: tuple[float, float] | None
    """95 % interval of `mean`, by Student's t; None for fewer than three pairs."""
    rank_interval: tuple[float, float] | None
    """95 % interval of `rank`; None for fewer than four pairs."""


def cv_vs_lb(scores: Sequence[tuple[float, float]]) -> CvVsLb:
    """Compare at least one pair of (CV, public): how far apart they are, and whether they rank alike."""
    differences = [cv - public for cv, public in scores]
    ranks = [_ranks(side) for side in zip(*scores, strict=True)]
    middle = (len(scores) + 1) / 2
    across, up = ([rank - middle for rank in side] for side in ranks)
    spread = sum(a * a for a in across) * sum(b * b for b in up)
    together = sum(a * b for a, b in zip(across, up, strict=True))
    rank = together / spread**0.5 if len(scores) >= 3 and spread > 0 else None
    return CvVsLb(
        pairs=len(scores),
        mean_abs=sum(map(abs, differences)) / len(scores),
        mean=sum(differences) / len(scores),
        rank=rank,
        mean_interval=_mean_interval(differences) if len(scores) >= 3 else None,
        rank_interval=_rank_interval(rank, len(scores)) if rank is not None and len(scores) >= 4 else None,
    )


def _mean_interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % interval of the mean of three or more values."""
    mean, free = statistics.fmean(values), len(values) - 1
    z = 1.96
    # the quantile of Student's t, by Cornish and Fisher: 4.2 for two degrees of freedom (exactly 4.3)
    t = z + (z**3 + z) / (4 * free) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * free**2)
    t += (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * free**3)
    margin = t * statistics.stdev(values) / math.sqrt(len(values))
    return mean - margin, mean + margin


def _rank_interval(rank: float, pairs: int) -> tuple[float, float]:
    """Return the 95 % interval of a rank correlation of four or more pairs.

    Bonett and Wright 2000 (https://doi.org/10.1007/BF02294183). A correlation of 1 is moved down by half the
    step that one exchange of neighbours takes, as its Fisher transform would be infinite.
    """
    most = 1 - 6 / (pairs * (pairs**2 - 1))
    middle = math.atanh(max(min(rank, most), -most))
    margin = 1.96 * math.sqrt((1 + rank**2 / 2) / (pairs - 3))
    return math.tanh(middle - margin), math.tanh(middle + margin)


def _ranks(values: Sequence[float]) -> list[float]:
    """Return ranks from 1; equal values share their mean rank."""
    return [sum(v < value for v in values) + (values.count(value) + 1) / 2 for value in values]


def summary(compared: CvVsLb, metric: Metric) -> str:
    """Return a line for people."""
    rank = "too few to rank" if compared.rank is None else f"rank correlation {compared.rank:.2f}"
    count = f"{compared.pairs} submission{'s' * (compared.pairs != 1)}"
    apart = f"{100 * compared.mean_abs:.1f} points" if metric.in_points else f"{compared.mean_abs:.4f}"
    return f"{count}: mean |CV - public| {apart}, {rank}"
