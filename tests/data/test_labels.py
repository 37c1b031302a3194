"""Cells, rows and columns as lists of labels."""

from __future__ import annotations

import polars as pl
import pytest

from kagglekit.config import TrainSet
from kagglekit.config.labels import Labels
from kagglekit.data.labels import each, label_lists, require, split_cell
from kagglekit.errors import ConfigError
from kagglekit.scoring.label_cells import MAX_LITERAL

TRAIN = TrainSet(files="*.wav", table="t.csv", file="id", label="label")


@pytest.mark.parametrize(
    ("cell", "delimiter", "labels"),
    [
        ("dog", None, ["dog"]),
        ("dog cat", None, ["dog cat"]),
        ("dog cat", " ", ["dog", "cat"]),
        (" dog ,, cat,dog", ",", ["dog", "cat"]),
        ("a::b", "::", ["a", "b"]),
        ("a,b", ";", ["a,b"]),
        (None, ",", []),
        ("", None, []),
        ("['dog', 'cat']", None, ["dog", "cat"]),
        ("['dog, or cat', \"cow's\"]", ",", ["dog, or cat", "cow's"]),
        ("[1, 2.5]", None, ["1", "2.5"]),
        ("[dog, cat]", None, ["dog", "cat"]),
        ("['']", None, []),
        ("[]", ",", []),
        ("['a'] + ['b']", None, ["['a'] + ['b']"]),  # an expression is read as text, never run
        ("[noise];[music]", ";", ["[noise]", "[music]"]),
    ],
)
def test_split_cell(cell: str | None, delimiter: str | None, labels: list[str]) -> None:
    assert split_cell(cell, delimiter) == labels


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("[['a']]", "is not a list of labels"),
        ("[{'a': 1}]", "is not a list of labels"),
        ("[" + "1," * MAX_LITERAL + "]", "a list of 20,002 characters"),
    ],
)
def test_no_list(cell: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        split_cell(cell, None)


def test_brackets_are_part_of_a_label_where_not_all_cells_have_them() -> None:
    train = TRAIN.model_copy(update={"delimiter": ";"})
    some = pl.DataFrame({"label": ["[noise]", "speech", "[noise];[/music]", "['a', 'b']", None]})
    assert label_lists(some, train, []) == [["[noise]"], ["speech"], ["[noise]", "[/music]"], ["a", "b"], []]
    lists = pl.DataFrame({"label": ["[noise]", "[a, b]", "", "[]"]})
    assert label_lists(lists, train, []) == [["noise"], ["a", "b"], [], []]
    single = Labels(classes=("[noise]", "[1]", "a;b"))
    table = pl.DataFrame({"label": ["[noise]", "[other]", "[1]", "a;b"]})
    assert label_lists(table, train, [], single) == [["[noise]"], ["[other]"], ["[1]"], ["a;b"]]


def test_ragged_rows() -> None:
    table = pl.DataFrame({"id": ["a", "b", "c"], "label": [["0", " 4 ", None], [], None]})
    train = TRAIN.model_copy(update={"ragged": True})
    assert label_lists(table, train, ["id"]) == [["0", "4"], [], []]


def test_one_column_for_each_class() -> None:
    cells = {"dog": ["1", "0", "True"], "cat": ["1.0", "0.00", "no"], "cow": [None, "NaN", "NA"]}
    table = pl.DataFrame({"id": ["a", "b", "c"], "who": ["x", "y", "z"], **cells})
    train = TRAIN.model_copy(update={"label": None})
    assert label_lists(table, train, ["id", "who"]) == [["dog", "cat"], [], ["dog"]]


@pytest.mark.parametrize("cell", ["maybe", "-1", "inf", "2024-01-01"])
def test_a_class_column_says_yes_or_no(cell: str) -> None:
    table = pl.DataFrame({"id": ["a"], "dog": [cell]})
    with pytest.raises(ConfigError, match=rf"column 'dog' has the cell '{cell}': neither yes nor no"):
        label_lists(table, TRAIN.model_copy(update={"label": None}), ["id"])


def test_a_cell() -> None:
    table = pl.DataFrame({"id": ["a", "b"], "label": ["dog,cat", None]})
    assert label_lists(table, TRAIN.model_copy(update={"delimiter": ","}), ["id"]) == [["dog", "cat"], []]
    with pytest.raises(ConfigError, match=r"no column 'label' \(label\)"):
        label_lists(table.drop("label"), TRAIN, ["id"])


def test_an_error_names_table_column_and_cell() -> None:
    with pytest.raises(ConfigError, match=r"t\.csv: column 'n' has the cell 'x': invalid literal") as caught:
        each(pl.Series("n", ["1", "x"]), lambda cell: int(cell or 0), TRAIN)
    assert caught.value.hint
    assert each(pl.Series("n", ["1", None]), lambda cell: int(cell or 0), TRAIN) == [1, 0]


def test_require() -> None:
    table = pl.DataFrame({"label": ["dog"]})
    assert require(table, "label", TRAIN, "label").to_list() == ["dog"]
    with pytest.raises(ConfigError, match=r"'t\.csv' has no column 'lable'") as caught:
        require(table, "lable", TRAIN, "label")
    assert "label" in str(caught.value.hint)
