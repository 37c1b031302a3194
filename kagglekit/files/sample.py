"""The sample submission: which ids the host expects, in which order, under which columns."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from kagglekit.errors import MissingError, SubmissionError
from kagglekit.files import archive

ARCHIVE_MAGIC = (b"PK\x03\x04", b"7z\xbc\xaf")  # what a zip and a 7z start with
COLUMNS_HINT = "competition.yaml names the columns: submission.id, and submission.label or the classes"


@dataclass(frozen=True)
class Sample:
    """What the host expects: which ids, in which order, under which columns."""

    ids: list[str]
    id_column: str
    columns: tuple[str, ...]
    """The others: the label's; or one for each class, of probabilities."""

    @property
    def label_column(self) -> str | None:
        """The label's, where it is labels that are sent."""
        return self.columns[0] if len(self.columns) == 1 else None


def read_sample(path: Path, id_column: str, columns: Sequence[str]) -> Sample:
    """The ids of a sample submission: a CSV, or an archive that holds exactly one CSV.

    Args:
        path: its place.
        id_column, columns: what it must have, in any order; its own order is kept.

    Raises:
        MissingError: `path` is not there.
        ArchiveError: the archive is damaged or unsafe.
        SubmissionError: it is not one CSV with these columns, or its ids are missing or repeated.
    """
    if not path.is_file():
        raise MissingError(f"there is no sample submission {path}", hint="kagglekit fetch")
    with path.open("rb") as file:
        packed = file.read(4) in ARCHIVE_MAGIC
    data = _only_csv(path) if packed else path.read_bytes()
    frame = parse(data, path.name, hint="data.sample_submission in competition.yaml names the file")
    if sorted(frame.columns) != sorted((id_column, *columns)):
        raise SubmissionError(
            f"{path.name} has the columns {quoted(frame.columns)}, not {quoted((id_column, *columns))}",
            hint=COLUMNS_HINT,
        )
    ids = frame[id_column]
    if ids.is_empty():
        raise SubmissionError(f"{path.name} has no rows", hint="kagglekit fetch --force gets it again")
    if ids.null_count() or ids.n_unique() != len(ids):
        raise SubmissionError(
            f"{path.name}: {repeats(ids)} in the column '{id_column}'; ids must be unique", hint=COLUMNS_HINT
        )
    return Sample(ids.to_list(), id_column, tuple(c for c in frame.columns if c != id_column))


def parse(data: bytes, name: str, *, hint: str) -> pl.DataFrame:
    """The table in a CSV's bytes, every column as text.

    Raises:
        SubmissionError: `name` is not a CSV; with `hint`.
    """
    try:
        return pl.read_csv(io.BytesIO(data), infer_schema=False)
    except pl.exceptions.PolarsError as error:
        reason = str(error).strip().splitlines()[0]
        raise SubmissionError(f"{name} is not a CSV: {reason}", hint=hint) from error


def _only_csv(path: Path) -> bytes:
    def choose(members: list[archive.Member]) -> list[str]:
        csvs = [m.name for m in members if m.name.lower().endswith(".csv")]
        if len(csvs) != 1:
            raise SubmissionError(
                f"{path.name} holds {len(csvs)} CSV files, not one{': ' * bool(csvs)}{quoted(csvs)}",
                hint="data.sample_submission in competition.yaml names the file",
            )
        return csvs

    found: list[bytes] = []
    archive.stream(path, lambda member, data: found.append(data), choose)
    return found[0]


def repeats(ids: pl.Series) -> str:
    """What is empty or there twice, for a message."""
    parts = []
    if nulls := ids.null_count():
        parts.append(f"{nulls:,} empty")
    twice = ids.drop_nulls().filter(ids.drop_nulls().is_duplicated()).unique(maintain_order=True)
    if len(twice):
        parts.append(f"{len(twice):,} repeated ({quoted(twice)})")
    return " and ".join(parts)


def quoted(names: Iterable[object]) -> str:
    """The first three of them, quoted."""
    marked = [f"'{name}'" for name in names]
    return ", ".join(marked[:3]) + ", …" * (len(marked) > 3)
