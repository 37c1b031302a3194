"""Read the sample submission: the ids that the host expects, their order, and the columns."""

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from kagglekit.errors import MissingError, SubmissionError
from kagglekit.files import archive

ARCHIVE_MAGIC = (b"PK\x03\x04", b"7z\xbc\xaf")  # the first bytes of a zip and of a 7z file
COLUMNS_HINT = "competition.yaml names the columns: submission.id, and submission.label or the classes"


@dataclass(frozen=True)
class Sample:
    """The ids that the host expects, in its order, and the columns."""

    ids: list[str]
    id_column: str
    columns: tuple[str, ...]
    """The other columns: the label, or a probability for each class."""

    @property
    def label_column(self) -> str | None:
        """The column of the label; None where probabilities are submitted."""
        return self.columns[0] if len(self.columns) == 1 else None


def read_sample(path: Path, id_column: str, columns: Sequence[str]) -> Sample:
    """Read a sample submission from a CSV, or from an archive that contains exactly one CSV.

    Args:
        path: the CSV or the archive.
        id_column, columns: the expected columns, in any order; the order of the file is kept.

    Raises:
        MissingError: `path` does not exist.
        ArchiveError: the archive is damaged or unsafe.
        SubmissionError: it is not one CSV with these columns, or ids are empty or repeated.
    """
    if not path.is_file():
        raise MissingError(f"the sample submission {path} does not exist", hint="fetch it: kagglekit fetch")
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
        raise SubmissionError(f"{path.name} has no rows", hint="fetch it again: kagglekit fetch --force")
    if ids.null_count() or ids.n_unique() != len(ids):
        raise SubmissionError(
            f"{path.name}: {repeats(ids)} in the column '{id_column}'; ids must be unique", hint=COLUMNS_HINT
        )
    return Sample(ids.to_list(), id_column, tuple(c for c in frame.columns if c != id_column))


def parse(data: bytes, name: str, *, hint: str) -> pl.DataFrame:
    """Parse the bytes of a CSV, with every column as text.

    Raises:
        SubmissionError: they are not a CSV; its message has `name`, its hint is `hint`.
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
                f"{path.name} contains {len(csvs)} CSV files, not one{': ' * bool(csvs)}{quoted(csvs)}",
                hint="data.sample_submission in competition.yaml names the file",
            )
        return csvs

    contents: list[bytes] = []
    archive.stream(path, lambda member, data: contents.append(data), choose)
    return contents[0]


def repeats(ids: pl.Series) -> str:
    """Describe empty and repeated ids, for a message."""
    parts = []
    if nulls := ids.null_count():
        parts.append(f"{nulls:,} empty")
    twice = ids.drop_nulls().filter(ids.drop_nulls().is_duplicated()).unique(maintain_order=True)
    if len(twice):
        parts.append(f"{len(twice):,} repeated ({quoted(twice)})")
    return " and ".join(parts)


def quoted(names: Iterable[object]) -> str:
    """Return the first three names, quoted."""
    marked = [f"'{name}'" for name in names]
    return ", ".join(marked[:3]) + ", …" * (len(marked) > 3)
