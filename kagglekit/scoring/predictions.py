"""The prediction table: one schema at fold, run and blend level, out of fold (oof.parquet) and on the test.

Columns: clip_id, the row's id; fold (OOF only), the fold whose model predicted the row; label and part (OOF
only); logits, an array with a number for each class, in the order of the task's classes: log-odds where a row
may have several classes, else log-probabilities up to a constant.
"""

from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kagglekit.errors import MissingError
from kagglekit.files import parquet

ROW_ID, FOLD, LOGITS = "clip_id", "fold", "logits"
COLUMNS = {ROW_ID: pl.String, FOLD: pl.Int32, "label": pl.String, "part": pl.String}
"""Columns besides the logits, with their types."""


def predictions(rows: pl.DataFrame, logits: NDArray[np.floating]) -> pl.DataFrame:
    """Make a prediction table of logits (rows, classes); of the rows' columns, those of COLUMNS are kept."""
    kept = [name for name in COLUMNS if name in rows.columns]
    values = pl.Series(np.asarray(logits, np.float32), dtype=pl.Array(pl.Float32, logits.shape[1]))
    return rows.select(kept).with_columns(values.alias(LOGITS))


def logits_of(table: pl.DataFrame) -> NDArray[np.float32]:
    """Return the logits of a prediction table, (rows, classes)."""
    return table[LOGITS].to_numpy()


def write_predictions(table: pl.DataFrame, path: Path) -> None:
    """Write a prediction table atomically; it can be read at this place only."""
    parquet.write(table, path, bound=True)


def read_predictions(path: Path, hint: str, classes: int | None = None) -> pl.DataFrame:
    """Read a prediction table, and check its columns, types and ids.

    Args:
        path: oof.parquet or test.parquet of a fold, a run or a blend.
        hint: how to make it again.
        classes: required number of logits per row; None: any number.

    Raises:
        MissingError: the file is absent, damaged or of another run or fold, has other columns or types, or
            lacks or repeats ids.
    """
    table = parquet.read(path, hint, bound=True)
    if problem := _problem(table, classes):
        raise MissingError(f"{path} cannot be read: {problem}", hint=hint)
    return table


def _problem(table: pl.DataFrame, classes: int | None) -> str:
    """Return why a table is no prediction table, or ""."""
    schema = table.schema
    if lacking := [name for name in (ROW_ID, LOGITS) if name not in schema]:
        return f"it has no column {' and no column '.join(lacking)}"
    for name, kind in COLUMNS.items():
        if name in schema and schema[name] != kind:
            return f"its column {name} is {schema[name]}, not {kind}"
    logits = schema[LOGITS]
    if not isinstance(logits, pl.Array) or logits.inner != pl.Float32:
        return f"its column {LOGITS} is {logits}, not an array of Float32"
    if classes is not None and logits.shape != (classes,):
        return f"a row has {logits.shape[0]} logits for {classes} classes"
    ids = table[ROW_ID]
    if ids.null_count() or table[LOGITS].null_count():
        return "it has empty cells"
    return "an id occurs twice" if ids.n_unique() != len(ids) else ""
