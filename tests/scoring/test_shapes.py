"""What each shape of a submission holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kagglekit.config import Config
from kagglekit.scoring.long_ids import LongIds
from kagglekit.scoring.shapes import Shape

CLASSES = ("low", "mid", "high")
PROBS = np.array([[0.7, 0.2, 0.6], [0.1, 0.3, 0.2]])


def shape(kind: str = "multi", rows: dict[str, Any] | None = None, **settings: Any) -> Shape:
    metric = {"single": "accuracy", "multi": "lwlrap"}[kind]
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


@pytest.mark.parametrize(
    ("template", "rows", "row", "written"),
    [
        ("{id}_classnumber_{number}", "{name}", "x_1.wav", "x_1.wav_classnumber_2"),
        ("{id*100+number}", "{name}", "14", "1402"),
        ("{id*100+number+1}", "{name}", "14", "1403"),
        ("{stem}_{class}_{end}", "{stem}_{end}", "sound_scape_7_5", "sound_scape_7_high_5"),
    ],
)
def test_long_ids_are_written_and_read(template: str, rows: str, row: str, written: str) -> None:
    ids = LongIds(template, rows, CLASSES)
    assert ids.write(row, 2) == written
    key, number = ids.read(written)
    assert number == 2
    assert ids.read(ids.write(row, 0)) == (key, 0)


def test_long_ids_that_mean_nothing() -> None:
    with pytest.raises(ValueError, match=r"names \{stem\}; known are class, id, name, number"):
        LongIds("{stem}_{class}", "{name}", CLASSES).write("a.wav", 0)
    ids = LongIds("{id}_{class}", "{name}", CLASSES)
    with pytest.raises(ValueError, match=r"'a_none' is not of the form \{id\}_\{class\}"):
        ids.read("a_none")
    with pytest.raises(ValueError, match="class number 7 of 3"):
        LongIds("{id*100+number}", "{name}", CLASSES).read("1407")
