"""Recordings in a column of a Parquet table, as Hugging Face writes them, read as the files of an archive.

A cell is binary, or a struct of binary `bytes` and a string `path`
(https://huggingface.co/docs/datasets/audio_dataset). The table does not say how long its cells are: listing
one reads the column to its end. The list is kept, as a tar's is.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

from kagglekit.errors import ArchiveError
from kagglekit.files.archive import checks
from kagglekit.files.archive.checks import Archive, HeaderEntry, Member, SinkFor

MAGIC = b"PAR1"
MAX_ROWS = 10**7
MOST_AT_ONCE = 64
"""Rows decoded together; fewer where they may have more than BATCH_BYTES."""
BATCH_BYTES = 32 * 2**20
_HINT = "name a table with one column of recordings, or unpack it first"


class _Listed(NamedTuple):
    members: tuple[Member, ...]
    row_of: dict[str, int]
    """The row of each member."""


@contextmanager
def open_parquet(path: Path) -> Iterator[Archive]:
    """Open a Parquet table's recordings after all safety checks."""
    status = path.stat()
    listed = _listed(path, status.st_size, status.st_mtime_ns)
    yield Archive(list(listed.members), partial(_extract, path, listed))


@lru_cache(maxsize=128)
def _listed(path: Path, size: int, mtime_ns: int) -> _Listed:
    """Read the column to its end. A row without bytes has no recording."""
    names: list[str | None] = []
    rows: list[int] = []
    sizes: list[int] = []
    total = 0
    try:
        with _reader(path) as file:
            column = _column_of(path, file.schema_arrow)
            for row, sound, name in _cells(file, column, range(file.num_row_groups)):
                if sound is not None:
                    total += len(sound)
                    checks.check_total(path, total)
                    rows.append(row)
                    sizes.append(len(sound))
                    names.append(name)
    except _damage() as error:
        raise checks.damaged(path, f"truncated or damaged ({_reason(error)})") from error
    if not rows:
        raise ArchiveError(f"{path.name}: no cell of the column {column!r} holds bytes", hint=_HINT)
    uses = Counter(names)
    numbered = [name if name and uses[name] == 1 else f"{r}.wav" for r, name in zip(rows, names, strict=True)]
    entries = [HeaderEntry(name, length, 0) for name, length in zip(numbered, sizes, strict=True)]
    row_of = {checks.plain_name(name): row for name, row in zip(numbered, rows, strict=True)}
    return _Listed(tuple(checks.checked_members(path, entries)), row_of)


def _extract(path: Path, listed: _Listed, wanted: set[str], sink_for: SinkFor) -> None:
    members = {listed.row_of[m.name]: m for m in listed.members if m.name in wanted}
    last = ""
    try:
        with _reader(path) as file:
            groups, first = [], 0
            for group in range(file.num_row_groups):
                rows = file.metadata.row_group(group).num_rows
                if any(row in members for row in range(first, first + rows)):
                    groups.append(group)
                first += rows
            for row, sound, _ in _cells(file, _column_of(path, file.schema_arrow), groups):
                if (member := members.pop(row, None)) is not None:
                    last = member.name
                    sink = checks.GuardedSink(path, member, sink_for)
                    sink.write(sound or b"")
                    sink.close()
    except _damage() as error:
        raise checks.damaged(path, f"damaged in or after {last!r} ({_reason(error)})") from error
    if members:
        raise checks.damaged(path, f"member {next(iter(members.values())).name!r} is no longer there")


@contextmanager
def _reader(path: Path) -> Iterator[Any]:
    """Open a table so that it is read page by page."""
    import pyarrow.parquet as pq  # takes 0.1 s

    with pq.ParquetFile(
        path, buffer_size=checks.COPY_BYTES, pre_buffer=False, page_checksum_verification=True
    ) as file:
        if file.metadata.num_rows > MAX_ROWS:
            raise checks.unsafe(path, f"has {file.metadata.num_rows:,} rows, more than {MAX_ROWS:,}")
        yield file


def _column_of(path: Path, schema: Any) -> str:
    """Return the only column that may hold recordings."""
    names = [field.name for field in schema if _holds_files(field.type)]
    if len(names) == 1:
        return str(names[0])
    shown = ", ".join(repr(name) for name in (names or schema.names)[:12])
    if names:
        raise ArchiveError(f"{path.name} has {len(names)} columns of binary data: {shown}", hint=_HINT)
    raise ArchiveError(
        f"{path.name} has no column of recordings (binary, or a struct of bytes and path), but {shown}",
        hint=_HINT,
    )


def _holds_files(kind: Any) -> bool:
    import pyarrow.types as types

    if types.is_struct(kind):
        fields = {field.name: field.type for field in kind}
        if set(fields) != {"bytes", "path"} or not (
            types.is_string(fields["path"]) or types.is_large_string(fields["path"])
        ):
            return False
        kind = fields["bytes"]
    return bool(types.is_binary(kind) or types.is_large_binary(kind))


def _cells(
    file: Any, column: str, groups: "list[int] | range"
) -> Iterator[tuple[int, bytes | None, str | None]]:
    """Yield row, bytes and path of each cell of row groups, in order."""
    import pyarrow as pa
    import pyarrow.compute as pc

    metadata = file.metadata
    starts = [0]
    for group in range(metadata.num_row_groups):
        starts.append(starts[-1] + metadata.row_group(group).num_rows)
    place = file.schema_arrow.get_field_index(column)
    if place < 0:
        raise ValueError(f"two columns {column!r}")
    for group in groups:
        row = starts[group]
        batches = file.iter_batches(
            _rows_at_once(metadata.row_group(group), column), [group], [column], use_threads=False
        )
        for batch in batches:
            batch.validate(full=True)
            cells = batch.column(column)
            sounds, paths = cells, [None] * len(cells)
            if pa.types.is_struct(cells.type):
                sounds = pc.struct_field(cells, "bytes")
                paths = pc.struct_field(cells, "path").to_pylist()
            for sound, path in zip(sounds, paths, strict=True):
                yield row, sound.as_py(), path
                row += 1
        if row != starts[group + 1]:
            raise EOFError(f"row group {group} ends at row {row:,}")


def _rows_at_once(group: Any, column: str) -> int:
    """Return how many rows take at most BATCH_BYTES if each is as long as its whole column, repeated."""
    chunks = (group.column(i) for i in range(group.num_columns))
    most: int = sum(
        c.total_uncompressed_size for c in chunks if f"{c.path_in_schema}.".startswith(f"{column}.")
    )
    return max(1, min(MOST_AT_ONCE, BATCH_BYTES // max(1, most)))


def _damage() -> tuple[type[Exception], ...]:
    import pyarrow as pa

    return (*checks.DAMAGE, pa.ArrowException, OSError, MemoryError)


def _reason(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:200]
