"""Clips tables of facts that come with words and speakers, as folders and file names give them."""

import polars as pl

from kagglekit.config import Config
from kagglekit.data.annotations import SCHEMA
from kagglekit.data.clips import train_table
from kagglekit.scoring.task import Task


def annotated(table: pl.DataFrame, separator: str | None = None) -> pl.DataFrame:
    """Return the annotations of facts that have words and speakers."""
    words = pl.concat_list("word") if separator is None else pl.col("word").str.split(separator)
    rows = table.select(
        "clip_id",
        "path",
        present=pl.when(pl.col("word").is_null()).then(pl.lit([], pl.List(pl.String))).otherwise(words),
        group="speaker",
    )
    others = {name: pl.lit(None, kind) for name, kind in SCHEMA.items() if name not in rows.columns}
    sure = {
        "unknown": pl.lit(False),
        "judged": pl.lit(True),
        "domain": pl.lit("train"),
        "weight": pl.lit(1.0),
    }
    return rows.with_columns(**{**others, **sure})


def made(config: Config, table: pl.DataFrame, official: dict[str, str] | None = None) -> pl.DataFrame:
    """Return the clips table of the training clips."""
    return train_table(
        config, table.drop("word", "speaker"), annotated(table, Task.of(config).separator), official
    )
