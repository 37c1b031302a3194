"""Read a table's cells and columns as lists of labels."""

import ast
from collections.abc import Callable, Collection, Sequence
from typing import TypeVar

import polars as pl

from kagglekit.config import TrainSet
from kagglekit.errors import ConfigError, close_match

T = TypeVar("T")

MAX_LITERAL = 10_000  # characters of a list literal
FALSE = {"", "0", "0.0", "false", "no"}


def split_cell(cell: str | None, delimiter: str | None) -> list[str]:
    """Return the labels in a cell: a list literal such as `['a', 'b']`, delimited labels, or one label.

    Raises:
        ValueError: the cell begins with [ and is no list of words or numbers.
    """
    text = (cell or "").strip()
    if text.startswith("[") and text.endswith("]"):
        labels = _literal(text)
    else:
        labels = text.split(delimiter) if delimiter else [text]
    return list(dict.fromkeys(filter(None, (label.strip() for label in labels))))


def _literal(text: str) -> list[str]:
    if len(text) > MAX_LITERAL:
        raise ValueError(f"a list of {len(text):,} characters")
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):  # such as [a, b], without quotes
        return text[1:-1].split(",")
    if not isinstance(value, list) or not all(isinstance(one, str | int | float) for one in value):
        raise ValueError(f"{text[:40]!r} is not a list of labels")
    return [str(one) for one in value]


def label_lists(table: pl.DataFrame, train: TrainSet, others: Collection[object]) -> list[list[str]]:
    """Return the labels that each row of a table names: of a cell, of a ragged row, or of class columns.

    Args:
        table: the table, all columns text; a ragged one has a list column after its id.
        others: columns that are no classes, where the table has one column for each class.

    Raises:
        ConfigError: a column is missing, or a cell cannot be read.
    """
    if train.ragged:
        ragged = table.to_series(1).to_list()
        return [[label.strip() for label in row or [] if label and label.strip()] for row in ragged]
    if train.label is None:
        classes = [name for name in table.columns if name not in others]
        rows = table.select(classes).rows()
        return [_true(classes, row) for row in rows]
    column = require(table, str(train.label), train, "label")
    return each(column, lambda cell: split_cell(cell, train.delimiter), train)


def _true(classes: Sequence[str], row: tuple[str | None, ...]) -> list[str]:
    return [name for name, cell in zip(classes, row, strict=True) if (cell or "").lower() not in FALSE]


def each(column: pl.Series, parse: Callable[[str | None], T], train: TrainSet) -> list[T]:
    """Parse the cells of a column; an error names the column and the cell."""
    values = []
    for cell in column:
        try:
            values.append(parse(cell))
        except ValueError as error:
            raise ConfigError(
                f"{train.table}: column '{column.name}' has the cell {(cell or '')[:40]!r}: {error}",
                hint="correct the table, or the column's name in data.train",
            ) from error
    return values


def require(table: pl.DataFrame, column: str, train: TrainSet, key: str) -> pl.Series:
    """Return a column.

    Raises:
        ConfigError: the table has no such column.
    """
    if column not in table.columns:
        raise ConfigError(
            f"data.train: {train.table!r} has no column {column!r} ({key})",
            hint=close_match(column, table.columns),
        )
    return table[column]
