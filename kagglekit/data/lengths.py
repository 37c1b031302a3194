"""Describe the recordings as they are: how long, and at which sample rates."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

QUANTILES = {"min": 0.0, "5%": 0.05, "median": 0.5, "95%": 0.95, "max": 1.0}


@dataclass(frozen=True)
class LengthsAndRates:
    """The readable recordings of a split."""

    count: int
    rates: dict[int, int]
    """Sample rate in Hz -> number of recordings, the most frequent first."""
    seconds: dict[str, float]
    """Quantiles of their lengths, by the names in `QUANTILES`."""


def lengths_and_rates(clips: pl.DataFrame, sample_rate: int) -> dict[str, LengthsAndRates]:
    """Describe the recordings of each split of the clips table; silence clips are no recordings.

    Args:
        clips: the clips table (kagglekit.data.clips).
        sample_rate: the competition's, in Hz, at which `samples` are counted.
    """
    described = {}
    for split in ("train", "test", "unlabelled"):
        read = clips.filter((pl.col("split") == split) & (pl.col("samples") > 0))
        if len(read):
            rates = read["rate"].value_counts(sort=True).sort("count", "rate", descending=True).rows()
            seconds = {name: _quantile(read["samples"], q) / sample_rate for name, q in QUANTILES.items()}
            described[split] = LengthsAndRates(len(read), dict(rates), seconds)
    return described


def _quantile(samples: pl.Series, q: float) -> float:
    return samples.quantile(q, "nearest") or 0.0


def rows(described: Mapping[str, LengthsAndRates]) -> list[list[Any]]:
    """Return a table row for each split: name, count, quantiles in seconds, and rates with their counts."""
    return [
        [split, facts.count, *(f"{value:.2f}" for value in facts.seconds.values()), _shown(facts.rates)]
        for split, facts in described.items()
    ]


def _shown(rates: Mapping[int, int], most: int = 5) -> str:
    """Return `44,100: 812; 22,050: 63`."""
    parts = [f"{rate:,}: {count:,}" for rate, count in list(rates.items())[:most]]
    rest = len(rates) - most
    return "; ".join(parts) + (f"; {rest} other rates" if rest > 1 else "; 1 other rate" if rest == 1 else "")
