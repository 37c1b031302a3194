from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

import polars as pl
import pytest
from support.submissions import CLASSES, PREDICTED, SAMPLE, submission

from kagglekit.errors import SubmissionError
from kagglekit.files.sample import Sample
from kagglekit.submission.table import build, class_balance, file_name, to_csv


def test_build_follows_the_sample():
    frame = build(SAMPLE, PREDICTED)
    assert frame.columns == ["fname", "label"]
    assert frame.rows() == [("b.wav", "no"), ("a.wav", "yes"), ("d.wav", "silence"), ("c.wav", "yes")]


def test_build_refuses_other_clips():
    sample = Sample([f"{i}.wav" for i in range(1234)], "fname", ("label",))
    with pytest.raises(SubmissionError) as caught:
        build(sample, PREDICTED)
    assert "1,234 of 1,234 ids without a clip ('0.wav', '1.wav', '2.wav', …)" in str(caught.value)
    assert "4 of 4 clips without an id ('a.wav', 'b.wav', 'c.wav', …)" in str(caught.value)
    assert "fetch --force" in caught.value.hint


def test_build_refuses_a_clip_predicted_twice():
    with pytest.raises(SubmissionError, match=r"predicted more than once: 1 repeated \('a.wav'\)"):
        build(SAMPLE, pl.concat([PREDICTED, PREDICTED.head(1)]))


def test_class_balance_counts_every_class():
    frame = submission(label=["yes", "yes", "yes", "no"])
    assert class_balance(frame, CLASSES) == [("yes", 3, 0.75), ("no", 1, 0.25), ("silence", 0, 0.0)]


def test_to_csv():
    assert to_csv(submission()) == b"fname,label\nb.wav,no\na.wav,yes\nd.wav,silence\nc.wav,yes\n"


def test_file_name():
    time = datetime(2026, 11, 22, 10, 15, 0, tzinfo=UTC)
    assert file_name(time, ["convs2s", "lstm"], 0.87123) == "20261122-101500_convs2s+lstm_0.8712.csv"
    assert file_name(time, ["lstm"], None) == "20261122-101500_lstm.csv"
    assert file_name(time.astimezone(timezone(timedelta(hours=9))), ["lstm"], None).startswith(
        "20261122-101500"
    )


def test_file_name_is_safe_and_short():
    time = datetime(2026, 1, 2, tzinfo=UTC)
    odd = file_name(time, ["../a b:ü/é"], 0.5)
    many = file_name(time, [f"model-number-{i}" for i in range(20)], 0.5)
    assert re.fullmatch(r"[A-Za-z0-9._+-]+", odd) and "/" not in odd
    assert (
        many
        == "20260102-000000_model-number-0+model-number-1+model-number-2+model-number-3+16-more_0.5000.csv"
    )
    assert len(file_name(time, ["x" * 500], 0.5)) < 100
