"""Read and write Parquet: the workspace's tables, and the text in tables from elsewhere."""

import io
from pathlib import Path

import polars as pl

from kagglekit.errors import DamagedCacheError, MissingError, TableError, plural
from kagglekit.files.atomic import replacing
from kagglekit.files.checksums import check_parquet, home_of, seal_parquet

POLARS_ERRORS = (
    pl.exceptions.PolarsError,
    pl.exceptions.PanicException,
)  # polars panics at names that are not UTF-8
MAX_CELLS = 10**8
"""Most cells of a table from elsewhere."""


def write(table: pl.DataFrame, path: Path, *, bound: bool = False) -> None:
    """Write a table with its checksum atomically.

    Args:
        bound: the table cannot be read in another run or fold, as `checksums.home_of` tells them apart.
    """
    with replacing(path) as part:
        table.write_parquet(part)
        seal_parquet(part, home_of(path) if bound else "")


def read(path: Path, hint: str, *, bound: bool = False) -> pl.DataFrame:
    """Read a table that `write` wrote.

    Raises:
        MissingError: it does not exist, is damaged or of another run; `hint` says how to make it again.
    """
    try:
        data = path.read_bytes()
        check_parquet(data, home_of(path) if bound else "")
        return pl.read_parquet(io.BytesIO(data))
    except FileNotFoundError as error:
        raise MissingError(f"{path} does not exist", hint=hint) from error
    except (OSError, ValueError, *POLARS_ERRORS) as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise MissingError(f"{path} cannot be read: {reason}", hint=hint) from error


def read_cache(path: Path) -> pl.DataFrame:
    """Read a table that an earlier stage makes again; a damaged one is removed.

    Raises:
        MissingError: it does not exist.
        DamagedCacheError: it was damaged.
    """
    again = "run kagglekit prepare, which makes it again"
    try:
        return read(path, again)
    except MissingError as error:
        if not path.is_file():
            raise
        path.unlink()
        raise DamagedCacheError(str(error), hint=again) from error


def text_columns(data: bytes, name: str, hint: str) -> tuple[list[str], pl.DataFrame, tuple[str, ...]]:
    """Read a Parquet table's columns of text, numbers, truth values and lists of text.

    Returns:
        Their names; the cells as a CSV would have them, in columns "0", "1" ...; a note of other columns.

    Raises:
        TableError: it is damaged, too large, or has no such column.
    """
    import pyarrow as pa

    try:
        return _text_columns(data, name, hint)
    except (pa.ArrowException, *POLARS_ERRORS, OSError, ValueError, MemoryError) as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise TableError(f"{name} is a Parquet table that cannot be read: {reason}", hint=hint) from error


def _text_columns(data: bytes, name: str, hint: str) -> tuple[list[str], pl.DataFrame, tuple[str, ...]]:
    import pyarrow as pa  # polars panics on damaged bytes, in its own threads
    import pyarrow.parquet as pq

    with pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True) as file:
        kinds = pl.DataFrame(pl.from_arrow(file.schema_arrow.empty_table())).schema
        cells = {column: _as_text(column, kind) for column, kind in kinds.items()}
        texts = {column: text for column, text in cells.items() if text is not None}
        if not texts:
            raise TableError(f"{name} is a Parquet table without a column of text or numbers", hint=hint)
        rows = file.metadata.num_rows
        if rows * len(texts) > MAX_CELLS:
            raise TableError(
                f"{name} has {rows:,} rows of {len(texts):,} columns; a table may have {MAX_CELLS:,} cells",
                hint=hint,
            )
        read = file.read(columns=list(texts), use_threads=False)
    read.validate(full=True)
    frame = pl.DataFrame(pl.from_arrow(read)).select(
        text.alias(str(place)) for place, text in enumerate(texts.values())
    )
    others = [column for column in kinds if column not in texts]
    shown = ", ".join(f"{column!r}" for column in others[:3]) + ", ..." * (len(others) > 3)
    notes = (f"left out {plural(len(others), 'column')}: {shown}",) if others else ()
    return list(texts), frame, notes


def _as_text(column: str, kind: pl.DataType) -> pl.Expr | None:
    """Return a column's cells as a CSV would have them; None for sound, pictures and other binary data."""
    cells = pl.col(column)
    if kind == pl.Boolean:
        return pl.when(cells).then(pl.lit("True")).when(~cells).then(pl.lit("False"))
    if kind == pl.List(pl.String):
        return cells.map_elements(lambda words: repr(list(words)), return_dtype=pl.String)
    if kind.is_numeric() or kind.is_temporal() or kind in (pl.String, pl.Categorical, pl.Enum, pl.Null):
        return cells.cast(pl.String)
    return None
