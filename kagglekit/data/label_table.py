"""Read the words and speakers of training clips from the CSV in the train archive."""

from pathlib import Path

import polars as pl

from kagglekit.config import TrainSet
from kagglekit.errors import ConfigError, close_match
from kagglekit.files.tables import read_table_file, say


def add_labels(facts: pl.DataFrame, path: Path, table: TrainSet) -> pl.DataFrame:
    """Fill in word, and speaker if the table has it, by file name.

    Clips that the table lacks get null. An empty cell of several labels becomes "", no label.

    Raises:
        ConfigError: the file does not exist or lacks a column.
        TableError: it is not a table.
    """
    if not path.is_file():
        raise ConfigError(
            f"data.train.table: {table.table!r} is not in the train archive",
            hint="set it to the path inside the archive",
        )
    read = read_table_file(path, name=str(table.table), hint="data.train.table names it")
    say(str(table.table), read)
    labels = read.frame
    columns = {"word": str(table.label)} | ({"speaker": table.group} if isinstance(table.group, str) else {})
    for field, column in {"file": str(table.file), **columns}.items():
        if column not in labels.columns:
            raise ConfigError(
                f"data.train: {table.table!r} has no column {column!r} ({field})",
                hint=close_match(column, labels.columns),
            )
    chosen = labels.select(
        pl.col(str(table.file)).alias("_file"), *(pl.col(c).alias(n) for n, c in columns.items())
    )
    if table.delimiter is not None:
        chosen = chosen.with_columns(pl.col("word").fill_null(""))
    files = pl.col("path").str.split("/").list.last().alias("_file")
    joined = (
        facts.drop(columns)
        .with_columns(files)
        .join(chosen.unique("_file", keep="first"), on="_file", how="left", maintain_order="left")
    )
    return joined.select(facts.columns)
