"""Read a table's cells and columns as lists of labels."""

from collections.abc import Callable, Collection
from typing import TypeVar

import polars as pl

from kagglekit.config import TrainSet
from kagglekit.config.labels import Labels
from kagglekit.config.names import LabelKind
from kagglekit.errors import ConfigError, close_match
from kagglekit.scoring.label_cells import EMPTY, in_brackets, list_literal

T = TypeVar("T")

WORDS = {
    **dict.fromkeys(("true", "t", "yes", "y", "x"), True),
    **dict.fromkeys(("", "false", "f", "no", "n", *EMPTY), False),
}
"""What a cell of a class's column may say besides a number, in small letters."""


def split_cell(
    cell: str | None, delimiter: str | None, known: Collection[str] = (), *, bare_lists: bool = True
) -> list[str]:
    """Return the labels in a cell: a list literal such as `['a', 'b']`, delimited labels, or one label.

    Args:
        known: labels that are one label, whatever they contain: `[noise]`, `a, b`.
        bare_lists: read `[a]`, without quotes, as a list, too, as `[a, b]` is.

    Raises:
        ValueError: the cell is a list of something else than words and numbers, or too long.
    """
    text = (cell or "").strip()
    labels = [text] if text in known else list_literal(text)
    inner = text[1:-1]
    if labels is None and in_brackets(text) and not {"[", "]"} & set(inner) and (bare_lists or "," in inner):
        labels = inner.split(",")
    if labels is None:
        labels = text.split(delimiter) if delimiter else [text]
    return list(dict.fromkeys(filter(None, (label.strip() for label in labels))))


def label_lists(
    table: pl.DataFrame, train: TrainSet, others: Collection[object], labels: Labels | None = None
) -> list[list[str]]:
    """Return the labels that each row of a table names: of a cell, of a ragged row, or of class columns.

    Where clips may have several labels, and all cells of a column are such as `[a, b]` and `[noise]`, the
    latter is a list, too. Elsewhere its brackets are part of the label.

    Args:
        table: the table, all columns text; a ragged one has a list column after its id.
        others: columns that are no classes, where the table has one column for each class.
        labels: the settings, which may list the classes.

    Raises:
        ConfigError: a column is missing, or a cell cannot be read.
    """
    if train.ragged:
        ragged = table.to_series(1).to_list()
        return [[label.strip() for label in row or [] if label and label.strip()] for row in ragged]
    if train.label is None:
        classes = [name for name in table.columns if name not in others]
        said = [each(table[name], _is_yes, train) for name in classes]
        rows = zip(*said, strict=True) if said else ((),) * len(table)
        return [[name for name, yes in zip(classes, row, strict=True) if yes] for row in rows]
    column = require(table, str(train.label), train, "label")
    known = labels.learnt if labels is not None and labels.known else ()
    multi = labels is None or labels.kind is LabelKind.MULTI
    bare = multi and all(in_brackets(cell.strip()) for cell in column if cell)
    return each(column, lambda cell: split_cell(cell, train.delimiter, known, bare_lists=bare), train)


def _is_yes(cell: str | None) -> bool:
    """Return what a cell of a class's column says: a word, or a number, of which 0 is no.

    Raises:
        ValueError: it is neither yes nor no.
    """
    word = (cell or "").lower()
    if word in WORDS:
        return WORDS[word]
    try:
        number = float(word)
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise ValueError("neither yes nor no; a column that is no class can be named by group or where")
    return number > 0


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
