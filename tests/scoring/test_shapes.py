"""What each shape of a submission holds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
import pytest

from kagglekit.config import Config
from kagglekit.errors import ConfigError, SubmissionError
from kagglekit.scoring.shapes import Shape

CLASSES = ("low", "mid", "high")
PROBS = np.array([[0.7, 0.2, 0.6], [0.1, 0.3, 0.2]])


def shape(kind: str = "multi", rows: dict[str, Any] | None = None, **settings: Any) -> Shape:
    several: Any = {"name": "map_at_k", "k": 2} if settings["shape"] == "top_k" else "f1_rows"
    metric = {"single": "accuracy", "multi": several}[kind]
    return Shape.of(
        Config.model_validate(
            {
                "competition": {"slug": "tiny", "metric": metric},
                "labels": {"classes": CLASSES, "kind": kind},
                "data": {"sample": "s.csv", "train": {"files": "x/*"}, "test": {"files": "y/*"}},
                "submission": settings,
                "rows": rows or {},
            }
        )
    )


@pytest.mark.parametrize(
    ("settings", "cells"),
    [
        ({"shape": "label"}, ["low", "mid"]),
        ({"shape": "top_k", "k": 2}, ["low high", "mid high"]),
        ({"shape": "top_k", "k": 2, "joiner": ","}, ["low,high", "mid,high"]),
        ({"shape": "label_list", "none": "nocall"}, ["low high", "nocall"]),
        ({"shape": "label_list"}, ["low high", ""]),
        ({"shape": "probability", "positive": "mid"}, [0.2, 0.3]),
        ({"shape": "probability"}, [0.6, 0.2]),
    ],
)
def test_one_column(settings: dict[str, Any], cells: list[object]) -> None:
    table = shape(**settings).predicted(["a", "b"], PROBS, ["x"])
    assert table.to_dict(as_series=False) == {"clip_id": ["a", "b"], "x": cells}


def test_a_row_of_one_class_has_one_label() -> None:
    table = shape("single", shape="label_list").predicted(["a", "b"], PROBS, ["x"])
    assert table["x"].to_list() == ["low", "mid"]


def test_a_column_for_each_class_in_the_order_of_the_sample() -> None:
    table = shape(shape="probabilities").predicted(["a", "b"], PROBS, ["HIGH", "low", "mid"])
    assert table.columns == ["clip_id", "HIGH", "low", "mid"]
    assert table.drop("clip_id").rows() == [(0.6, 0.7, 0.2), (0.2, 0.1, 0.3)]


def test_long() -> None:
    table = shape(shape="long", ids="{id}_{class}").predicted(["a", "b"], PROBS, ["p"])
    assert table["clip_id"].to_list() == ["a_low", "a_mid", "a_high", "b_low", "b_mid", "b_high"]
    assert table["p"].to_list() == [0.7, 0.2, 0.6, 0.1, 0.3, 0.2]
    table = shape(shape="long", ids="{id}_{class}", answers=True).predicted(["a", "b"], PROBS, ["p"])
    assert table["p"].to_list() == [True, False, True, False, False, False]


ROWS = ["r1", "r2"]
MAP3 = {"name": "map_at_k", "k": 3}
MAP2 = {"name": "map_at_k", "k": 2}


def task_shape(metric: Any, kind: str = "multi", classes: Sequence[str] = CLASSES, **settings: Any) -> Shape:
    return Shape.of(
        Config.model_validate(
            {
                "competition": {"slug": "tiny", "metric": metric},
                "labels": {"kind": kind, "classes": classes},
                "data": {"sample": "s.csv", "train": {"files": "x/*"}, "test": {"files": "y/*"}},
                "submission": {"id": "id", **settings},
            }
        )
    )


@pytest.mark.parametrize("kind", ["single", "multi"])
@pytest.mark.parametrize(("positive", "place"), [("no", 0), ("yes", 1), (None, 1)])
def test_a_probability_is_of_the_positive_class(kind, positive, place):
    probs = np.array([[0.3, 0.7], [0.9, 0.1]])
    asked = task_shape("roc_auc", kind, ["no", "yes"], shape="probability", positive=positive)
    frame = asked.predicted(ROWS, probs, ["p"])
    assert frame["p"].to_list() == probs[:, place].tolist()
    _, read = asked.read(as_text(frame))
    np.testing.assert_allclose(read, probs)


def test_a_probability_is_of_the_class_that_its_column_is_called_as():
    probs = np.array([[0.3, 0.7], [0.9, 0.1]])
    asked = task_shape("roc_auc", "single", ["Bird", "none"], shape="probability")
    frame = asked.predicted(ROWS, probs, ["bird"])
    assert frame["bird"].to_list() == [0.3, 0.9]
    np.testing.assert_allclose(asked.read(as_text(frame))[1], probs)


def test_a_probability_of_an_only_class():
    only = task_shape("roc_auc", "multi", ["call"], shape="probability")
    _, read = only.read(pl.DataFrame({"id": ROWS, "p": ["0.25", "1"]}))
    assert read.tolist() == [[0.25], [1.0]]


@pytest.mark.parametrize("kind", ["single", "multi"])
def test_a_long_table_has_a_row_for_each_class(kind):
    asked = task_shape("roc_auc_macro", kind, shape="long")
    frame = asked.predicted(ROWS, PROBS, ["p"])
    keys, read = asked.read(as_text(frame).sample(fraction=1, shuffle=True, seed=1))
    assert read[[keys.index(row) for row in ROWS]].tolist() == PROBS.tolist()


@pytest.mark.parametrize(
    ("metric", "kind", "settings", "cells", "expected"),
    [
        ("accuracy", "single", {"shape": "label"}, ["high", "dog"], [2, -1]),
        ("accuracy", "single", {"shape": "top_k"}, ["high low", ""], [2, -1]),
        (MAP2, "single", {"shape": "label"}, ["high", "dog"], [[2], [-1]]),
        (MAP2, "single", {"shape": "top_k", "k": 2}, ["high low", "dog"], [[2, 0], [-1, -1]]),
        ("f1_rows", "multi", {"shape": "top_k", "k": 2}, ["high low", "mid"], [[1, 0, 1], [0, 1, 0]]),
        (
            "f1_rows",
            "multi",
            {"shape": "label_list", "none": "nocall"},
            ["high  low", "nocall"],
            [[1, 0, 1], [0] * 3],
        ),
    ],
)
def test_answers_are_read_as_the_metric_takes_them(metric, kind, settings, cells, expected):
    keys, read = task_shape(metric, kind, **settings).read(pl.DataFrame({"id": ROWS, "answer": cells}))
    assert keys == ROWS
    assert read.astype(float).tolist() == np.array(expected, float).tolist()


@pytest.mark.parametrize(
    ("settings", "table", "message"),
    [
        (
            {"shape": "probabilities"},
            {"low": "1", "mid": "x", "high": "0"},
            "column 'mid' has 'x', no number",
        ),
        ({"shape": "probabilities"}, {"low": "1", "mid": None, "high": "0"}, "column 'mid' has None"),
        ({"shape": "probabilities"}, {"low": "1", "mid": "inf", "high": "0"}, "column 'mid' has 'inf'"),
        ({"shape": "probabilities"}, {"low": "1", "mid": "0"}, "there is no column for the class 'high'"),
        ({"shape": "probabilities"}, {"low": "1", "Low": "0"}, "'low' and 'Low' both mean the class 'low'"),
        ({"shape": "long"}, {"p": "1"}, "'r1' is not of the form {id}_{class}"),
    ],
)
def test_tables_that_cannot_be_read(settings, table, message):
    frame = pl.DataFrame(
        {"id": ["r1"], **{name: [cell] for name, cell in table.items()}},
        dict.fromkeys(["id", *table], pl.String),
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        task_shape("roc_auc_macro", **settings).read(frame)


def test_a_long_table_that_lacks_a_class():
    table = pl.DataFrame({"id": ["r1_low", "r1_high"], "p": ["1", "0"]})
    with pytest.raises(ValueError, match="row 'r1' has no value for 'mid'"):
        task_shape("roc_auc_macro", shape="long").read(table)


@pytest.mark.parametrize(
    ("metric", "kind", "settings", "message"),
    [
        ("accuracy", "single", {"shape": "label_list"}, "accuracy does not fit submission.shape label_list"),
        (MAP3, "multi", {"shape": "label_list"}, "map_at_k does not fit submission.shape label_list"),
        (
            MAP3,
            "single",
            {"shape": "top_k", "k": 5},
            "submission.k is 5, and the metric map_at_k judges 3 labels",
        ),
        ("roc_auc", "multi", {"shape": "probability"}, "probability is for two classes, and there are 3"),
    ],
)
def test_metrics_that_a_shape_cannot_serve(metric, kind, settings, message):
    with pytest.raises(ConfigError, match=message) as caught:
        task_shape(metric, kind, **settings).check_fit()
    assert caught.value.hint


def test_a_positive_class_that_is_none():
    asked = task_shape("roc_auc", "single", ["no", "yes"], shape="probability", positive="yess")
    with pytest.raises(SubmissionError, match="'yess' is no class") as caught:
        asked.predicted(ROWS, PROBS[:, :2], ["p"])
    assert "did you mean 'yes'" in caught.value.hint


def as_text(frame: pl.DataFrame) -> pl.DataFrame:
    """A table as it comes out of a CSV."""
    return frame.rename({"clip_id": "id"}).with_columns(pl.all().cast(pl.String))


@pytest.mark.parametrize("kind", ["top_k", "label_list"])
def test_labels_that_a_joiner_does_not_part(kind: str) -> None:
    with pytest.raises(ConfigError, match="joiner is 'i', and the label 'mid' contains it"):
        shape(shape=kind, joiner="i").check_fit()
    shape(shape=kind).check_fit()


def test_a_metric_of_sets_decides_how_many_of_k_labels_are_written() -> None:
    """As it is scored: those from 0.5, but one at least and k at most; and one where the shape is a label."""
    probs = np.array([[0.7, 0.6, 0.9], [0.1, 0.3, 0.2], [0.8, 0.3, 0.2]])
    for kind, expected in (("top_k", ["high low", "mid", "low"]), ("label", ["high", "mid", "low"])):
        asked = task_shape("f1_rows", "multi", shape=kind, k=2)
        cells = asked.predicted(["a", "b", "c"], probs, ["x"])["x"].to_list()
        assert cells == expected
        decided = asked.metric.decide(probs)
        assert [" ".join(np.array(CLASSES)[row]) for row in decided] == [
            " ".join(sorted(cell.split(), key=CLASSES.index)) for cell in cells
        ]
