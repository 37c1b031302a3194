"""Find the table that says which of the recordings that lie together are the test."""

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import polars as pl

from kagglekit.competitions.answers import ShownSample
from kagglekit.competitions.describing import Described, describe
from kagglekit.competitions.joined import is_label_list, tables_of
from kagglekit.competitions.look import Facts
from kagglekit.competitions.recordings import Group
from kagglekit.competitions.render import Guess
from kagglekit.data.fields import TEST_WORDS, TRAIN_WORDS

HIDDEN = "?"
"""The usual label of rows whose labels are hidden."""


class SplitTest(NamedTuple):
    """The test among recordings that lie together, as a table says."""

    keys: dict[str, Any]
    """Of `data.test`, without `files`."""
    train_keys: dict[str, Any]
    """Of the training sets with the same table."""
    table: str
    file: str
    ids: list[str]
    """Ids of all recordings in that table."""
    paths: list[str]
    """Of the test's recordings."""


def split_test(
    facts: Facts, group: Group, without: Sequence[str | None], sample: ShownSample | None = None
) -> SplitTest | None:
    """Return which recordings are the test: by a column's words, hidden labels, a table of the test, or the
    sample's ids; None if nothing says.

    Args:
        without: tables that are not looked at.
    """
    tables = tables_of(facts, group, without)
    hidden = next(filter(None, map(_hidden_ids, tables)), None)
    for one in tables:
        for column in () if one.ragged else one.frame.columns:
            if column == one.file:
                continue
            cells = one.frame[column]
            words = {(cell or "").lower() for cell in cells.unique()}
            if words & TEST_WORDS and words & TRAIN_WORDS and words <= TEST_WORDS | TRAIN_WORDS:
                split = {"split": column}
                return _split(one, cells.str.to_lowercase().is_in(sorted(TEST_WORDS)), split, split, group)
            value = _value_of(one, column, hidden) if hidden else None
            if value is not None:
                shown = int(value) if value.isdecimal() and value.isascii() else value
                keys = {"where": Guess({column: shown}, "just these rows have hidden labels")}
                return _split(one, cells == value, keys, {}, group)
    listing = [one for one in tables if PurePosixPath(one.table).name.lower().startswith("test")]
    if sample is not None and sample.path is not None:
        listing += filter(None, [describe(group, sample.path, sample.frame)])
    for one in listing:
        if not one.ragged and one.files < len(group.paths):
            return _split(one, pl.repeat(True, len(one.frame), eager=True), {}, {}, group)
    return None


def _split(
    one: Described, chosen: pl.Series, keys: dict[str, Any], train_keys: dict[str, Any], group: Group
) -> SplitTest:
    where: dict[str, Any] = {"table": one.table, "file": one.file}
    if one.by_way_of is not None:
        where["by_way_of"] = one.by_way_of
    if one.file_pattern is not None:
        where["file_pattern"] = {"name": one.file_pattern}
    ids = [cell for cell in one.frame[one.file] if cell]
    tests = [one.path_of[cell] for cell in one.frame.filter(chosen)[one.file] if cell in one.path_of]
    paths = [group.paths[place] for place in dict.fromkeys(tests)]
    return SplitTest({**where, **keys}, train_keys, one.table, one.file, ids, paths)


def _hidden_ids(one: Described) -> set[int] | None:
    """Return the places of the recordings whose labels a table hides; None if it hides none."""
    if one.ragged:
        hidden = (
            [row == [HIDDEN] for row in one.frame.to_series(1).to_list()] if is_label_list(one.frame) else []
        )
    else:
        columns = [one.frame[column] == HIDDEN for column in one.frame.columns if column != one.file]
        hidden = next(([bool(cell) for cell in column] for column in columns if column.any()), [])
    ids = [cell for cell, is_hidden in zip(one.frame[one.file], hidden, strict=False) if is_hidden]
    return {one.path_of[cell] for cell in ids if cell in one.path_of} or None


def _value_of(one: Described, column: str, hidden: set[int]) -> str | None:
    """Return the value of a column whose rows are just the hidden recordings; None if there is none."""
    values = one.frame[column].drop_nulls().unique()
    if not 2 <= len(values) <= 20:
        return None
    for value in map(str, sorted(values)):
        cells = one.frame.filter(pl.col(column) == value)[one.file]
        if {one.path_of.get(cell or "") for cell in cells} == hidden:
            return value
    return None
