from __future__ import annotations

import polars as pl
import pytest
from support.submissions import CLASSES, SAMPLE, submission

from kagglekit.config import Submission
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


PAIR_OF_ROWS = Sample(["r1", "r2"], "id", ("x",))


@pytest.mark.parametrize(
    ("settings", "cells", "message"),
    [
        ({"shape": "top_k"}, ["yes no", "yes no silence no"], "a row has 4 labels, submission.k is 3"),
        ({"shape": "top_k"}, ["yes yes", "no yes"], "rows with a label twice: 'yes yes'"),
        ({"shape": "top_k"}, ["yes maybe", "no"], "unknown labels: 'maybe'"),
        ({"shape": "top_k"}, ["yes", None], "rows without a label: 1 of 2"),
        ({"shape": "label_list", "none": "nocall"}, ["yes", ""], "rows without a label: 1 of 2"),
        ({"shape": "label_list", "joiner": ","}, ["yes,no", "yes no"], "unknown labels: 'yes no'"),
        (
            {"shape": "label_list", "none": "nocall"},
            ["nocall yes", "no"],
            "'nocall' and a label: 'nocall yes'",
        ),
        ({"shape": "label_list"}, ["nocall", "no"], "unknown labels: 'nocall'"),
        ({"shape": "probability"}, ["1.2", "0.1"], "column 'x' does not hold probabilities: 1 of 2 rows"),
        ({"shape": "probability"}, ["0.3", None], "column 'x' does not hold probabilities: 1 of 2 rows"),
        ({"shape": "long"}, ["-0.1", "nan"], "column 'x' does not hold probabilities: 2 of 2 rows"),
        ({"shape": "long", "answers": True}, ["maybe", "True"], "neither True nor False: 'maybe'"),
        ({"shape": "long", "answers": True}, ["True", None], "neither True nor False: ''"),
    ],
)
def test_check_refuses_cells_that_the_shape_cannot_have(settings, cells, message):
    frame = pl.DataFrame({"id": ["r1", "r2"], "x": cells})
    with pytest.raises(SubmissionError, match=message) as caught:
        check(frame, PAIR_OF_ROWS, CLASSES, Submission(id="id", **settings))
    assert caught.value.hint


@pytest.mark.parametrize(
    ("settings", "cells"),
    [
        ({"shape": "top_k"}, ["yes no silence", "no"]),
        ({"shape": "label_list"}, ["yes no", ""]),
        ({"shape": "label_list"}, ["yes no", None]),
        ({"shape": "label_list", "none": "nocall"}, ["nocall", "yes no"]),
        ({"shape": "probability"}, ["0", "1"]),
        ({"shape": "long", "answers": True}, ["True", "false"]),
    ],
)
def test_check_accepts_each_shape(settings, cells):
    frame = pl.DataFrame({"id": ["r1", "r2"], "x": cells})
    assert check(frame, PAIR_OF_ROWS, CLASSES, Submission(id="id", **settings)) == []
