"""Parquet tables of the workspace."""

from pathlib import Path

import polars as pl

from kagglekit.errors import MissingError
from kagglekit.files.atomic import replacing


def write(table: pl.DataFrame, path: Path) -> None:
    """Write a table atomically."""
    with replacing(path) as part:
        table.write_parquet(part)


def read(path: Path, hint: str) -> pl.DataFrame:
    """Read a table.

    Raises:
        MissingError: it does not exist or is damaged; `hint` says how to make it again.
    """
    try:
        return pl.read_parquet(path)
    except FileNotFoundError as error:
        raise MissingError(f"{path} does not exist", hint=hint) from error
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = str(error).strip().splitlines()[0]
        raise MissingError(f"{path} cannot be read: {reason}", hint=hint) from error
