"""The table of lengths and sample rates."""

from __future__ import annotations

import polars as pl

from kagglekit.data.lengths import LengthsAndRates, lengths_and_rates, rows


def test_readable_recordings_by_split() -> None:
    clips = pl.DataFrame(
        {
            "split": ["train"] * 11 + ["test", "test", "silence"],
            "samples": [*range(1600, 17_601, 1600), 0, 8000, 16_000],
            "rate": [44_100] * 6 + [8000] * 3 + [11_127, 22_257, 0, 48_000, 0],
        }
    )
    described = lengths_and_rates(clips, 16_000)
    assert described == {
        "train": LengthsAndRates(
            11,
            {44_100: 6, 8000: 3, 22_257: 1, 11_127: 1},
            {"min": 0.1, "5%": 0.2, "median": 0.6, "95%": 1.1, "max": 1.1},
        ),
        "test": LengthsAndRates(1, {48_000: 1}, dict.fromkeys(("min", "5%", "median", "95%", "max"), 0.5)),
    }
    assert rows(described)[0] == [
        "train",
        11,
        "0.10",
        "0.20",
        "0.60",
        "1.10",
        "1.10",
        "44,100: 6; 8,000: 3; 22,257: 1; 11,127: 1",
    ]


def test_many_rates() -> None:
    clips = pl.DataFrame({"split": "train", "samples": 1, "rate": list(range(1000, 1008))}, orient="row")
    assert rows(lengths_and_rates(clips, 1000))[0][-1].endswith("; 3 other rates")


def test_nothing_that_can_be_read() -> None:
    assert lengths_and_rates(pl.DataFrame({"split": ["test"], "samples": [0], "rate": [0]}), 16_000) == {}
