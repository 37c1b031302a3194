from __future__ import annotations

import polars as pl
import pytest
from support.submissions import CLASSES, SAMPLE, submission

from kagglekit.errors import SubmissionError
from kagglekit.files.sample import Sample
from kagglekit.submission.check import check


def test_check_passes_what_build_makes():
    assert check(submission(), SAMPLE, CLASSES) == []


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (submission().rename({"fname": "id"}), "columns 'id', 'label', not 'fname', 'label'"),
        (submission().select("label", "fname"), "columns 'label', 'fname'"),
        (submission().head(3), "has 3 rows, the sample 4"),
        (
            submission(fname=["b.wav", "a.wav", "x.wav", "c.wav"]),
            r"ids that are not in the sample: 1 \('x.wav'\)",
        ),
        (
            submission(fname=["b.wav", "a.wav", "a.wav", "c.wav"]),
            r"ids are not unique: 1 repeated \('a.wav'\)",
        ),
        (submission(fname=["b.wav", "d.wav", "a.wav", "c.wav"]), "row 2 is 'd.wav', not 'a.wav'"),
        (submission(label=["yes", None, "", "no"]), "rows without a label: 2 of 4"),
        (submission(label=["yes", "no", "silense", "no"]), "unknown labels: 'silense'"),
        (submission(label=["yes"] * 4), "all 4 rows have the label 'yes'"),
    ],
)
def test_check_refuses(frame, message):
    with pytest.raises(SubmissionError, match=message) as caught:
        check(frame, SAMPLE, CLASSES)
    assert caught.value.hint


def test_check_suggests_the_class_that_was_meant():
    with pytest.raises(SubmissionError) as caught:
        check(submission(label=["yes", "no", "silense", "no"]), SAMPLE, CLASSES)
    assert "did you mean 'silence'?" in caught.value.hint


def test_check_warns_of_odd_balances():
    sample = Sample([str(i) for i in range(10)], "fname", ("label",))
    frame = pl.DataFrame({"fname": sample.ids, "label": ["yes"] * 9 + ["no"]})
    assert check(frame, sample, CLASSES) == ["'silence' is never predicted", "'yes' is 90% of the rows"]
