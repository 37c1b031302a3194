"""Read the sample submission: the ids that the host expects, their order, and the columns."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from kagglekit.errors import MissingError, SubmissionError
from kagglekit.files.ids import match, number
from kagglekit.files.tables import read_table_file

FILE_HINT = "data.sample in competition.yaml names the file"
COLUMNS_HINT = "competition.yaml names the columns: submission.id, and submission.label or the classes"


@dataclass(frozen=True)
class Sample:
    """The ids that the host expects, in its order, and the columns."""

    ids: list[str]
    id_column: str
    columns: tuple[str, ...]
    """The other columns: the label, or a probability for each class."""
    notes: tuple[str, ...] = ()
    """What was not plain about its file (kagglekit.files.tables.Table)."""

    @property
    def label_column(self) -> str | None:
        """The column of the label; None where probabilities are submitted."""
        return self.columns[0] if len(self.columns) == 1 else None


def read_sample(path: Path, id_column: str, columns: Sequence[str]) -> Sample:
    """Read a sample submission: a CSV or Parquet table, or an archive that contains exactly one.

    Args:
        path: the table or the archive.
        id_column, columns: the expected columns, in any order; the order of the file is kept.

    Raises:
        MissingError: `path` does not exist.
        ArchiveError: the archive is damaged or unsafe.
        TableError: it is not one table.
        SubmissionError: it has not these columns, or ids are empty or repeated.
    """
    if not path.is_file():
        raise MissingError(f"the sample submission {path} does not exist", hint="fetch it: kagglekit fetch")
    frame, notes = read_table_file(path, hint=FILE_HINT)
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
    return Sample(ids.to_list(), id_column, tuple(c for c in frame.columns if c != id_column), notes)


def clips_of(sample: Sample, clip_ids: Sequence[str]) -> list[str]:
    """Return the clip of each id of the sample, matched by kagglekit.files.ids.

    Raises:
        SubmissionError: ids have no clip, or clips no id.
        TableError: an id fits several clips, or several ids fit one.
    """
    numbers = all(map(number, sample.ids))
    matched = match(sample.ids, clip_ids, "the sample submission", numbers=numbers)
    if not (matched.unmatched_ids or matched.unmatched_paths):
        return [clip_ids[matched.path_of[one]] for one in sample.ids]
    problems = []
    if missing := matched.unmatched_ids:
        problems.append(f"{len(missing):,} of {len(sample.ids):,} ids without a clip ({quoted(missing)})")
    if extra := matched.unmatched_paths:
        problems.append(f"{len(extra):,} of {len(clip_ids):,} clips without an id ({quoted(extra)})")
    raise SubmissionError(
        f"the test clips do not match the sample submission: {'; '.join(problems)}",
        hint="if names differ, correct data.test or data.sample; if the sample and the test "
        "archive are of different versions, run kagglekit fetch --force, then kagglekit prepare",
    )


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
