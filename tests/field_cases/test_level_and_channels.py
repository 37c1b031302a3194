"""Samples that are louder than a file can say, and channels that cancel each other."""

from __future__ import annotations

import polars as pl
from support.field_case import FieldCase


def test_channels_in_antiphase(case: FieldCase) -> None:
    case.good("fetch")
    out = case.good("prepare").out
    assert "train: 16 antiphase" in out and "test: 6 antiphase" in out
    clips = case.clips()
    assert clips["problem"].unique().to_list() == [""]
    assert clips["rms"].is_between(0.08, 0.095).all()
    assert clips.filter(pl.col("flags").str.contains("antiphase"))["speaker"].n_unique() == 4


def test_floats_of_integer_size(case: FieldCase) -> None:
    case.good("fetch")
    assert "train: 16 rescaled" in case.good("prepare").out
    clips = case.clips()
    assert clips["rms"].is_between(0.08, 0.095).all()
    assert clips["message"].str.contains("divided by 32,768").sum() == 16
