"""Read the sample submission: the ids that the host expects, their order, and the columns."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import polars as pl

from kagglekit.config import Submission
from kagglekit.errors import SubmissionError, close_match
from kagglekit.files.ids import match, number
from kagglekit.files.tables import Table

PROBABILITIES = "probabilities"
PAIR = "\x1f"  # between the two parts of an id of two columns
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
    class_column: str | None = None
    """Column of the class, where an id is a pair of a row's id and a class, joined by PAIR."""

    @property
    def label_column(self) -> str | None:
        """The column of the label; None where probabilities are submitted."""
        return self.columns[0] if len(self.columns) == 1 else None


def read_sample(table: Table, name: str, settings: Submission, classes: Sequence[str]) -> Sample:
    """Check a sample submission, and return the ids and the columns.

    Args:
        table: the file's content; `name` is its path, for messages.
        settings: the shape and the columns.
        classes: the classes, which name the columns of the shape `probabilities`.

    Raises:
        SubmissionError: it has other columns, or ids are empty or repeated.
    """
    frame, notes = table
    columns = answer_columns(frame.columns, name, settings, classes)
    if frame.is_empty():
        raise SubmissionError(f"{name} has no rows", hint="fetch it again: kagglekit fetch --force")
    parts = [settings.id, *([settings.class_column] if settings.class_column else [])]
    ids = frame.select(pl.concat_str(parts, separator=PAIR)).to_series()
    if ids.null_count() or ids.n_unique() != len(ids):
        raise SubmissionError(
            f"{name}: {repeats(ids)} in the column '{settings.id}'; ids must be unique", hint=COLUMNS_HINT
        )
    return Sample(ids.to_list(), settings.id, columns, notes, settings.class_column)


def answer_columns(
    columns: Sequence[str], name: str, settings: Submission, classes: Sequence[str]
) -> tuple[str, ...]:
    """Return the columns of the answers in the order of a table.

    Raises:
        SubmissionError: it has no such columns, or others.
    """
    fixed = [settings.id, *([settings.class_column] if settings.class_column else [])]
    others = tuple(column for column in columns if column not in fixed)
    wanted = [*fixed, *(classes if settings.shape == PROBABILITIES else [settings.label or "label"])]
    error = SubmissionError(
        f"{name} has the columns {quoted(columns)}, not {quoted(wanted)}",
        hint=_columns_hint(columns, settings, classes),
    )
    if len(others) + len(fixed) != len(columns):
        raise error
    if settings.shape != PROBABILITIES:
        if len(others) != 1 or settings.label not in (None, others[0]):
            raise error
        return others
    try:
        column_classes(others, classes)
    except ValueError as reason:
        raise SubmissionError(f"{error}: {reason}", hint=error.hint) from reason
    return others


def _columns_hint(columns: Sequence[str], settings: Submission, classes: Sequence[str]) -> str:
    """Return what to set: another shape, where the columns are the classes."""
    for ident, *others in ([settings.id, *(c for c in columns if c != settings.id)], columns):
        try:
            column_classes(others, classes)
        except ValueError:
            continue
        if settings.shape != PROBABILITIES or ident != settings.id:
            return f"there is a column for each class: set submission: {{shape: probabilities, id: {ident}}}"
    return COLUMNS_HINT


def column_classes(columns: Sequence[str], classes: Sequence[str]) -> list[int]:
    """Return the place of the class that each column means: equal, or equal without case, spaces and _.

    Raises:
        ValueError: a column means no class, or a class has no column.
    """
    exact = {name: place for place, name in enumerate(classes)}
    loose: dict[str, list[int]] = {}
    for place, name in enumerate(classes):
        loose.setdefault(_plain(name), []).append(place)
    places: list[int] = []
    for column in columns:
        fitting = [exact[column]] if column in exact else loose.get(_plain(column), [])
        if len(fitting) != 1:
            several = " and ".join(f"'{classes[place]}'" for place in fitting)
            said = f"means {several}" if fitting else f"is no class; {close_match(column, classes)}"
            raise ValueError(f"'{column}' {said}")
        if fitting[0] in places:
            other = columns[places.index(fitting[0])]
            raise ValueError(f"'{other}' and '{column}' both mean the class '{classes[fitting[0]]}'")
        places += fitting
    if lacking := sorted(set(range(len(classes))) - set(places)):
        raise ValueError(f"there is no column for the class '{classes[lacking[0]]}'")
    return places


def _plain(name: str) -> str:
    return "".join(char for char in name.casefold() if char.isalnum())


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
        hint="if names differ, correct data.test or data.sample, or rows (every, id) of windows; if the "
        "sample and the test archive are of different versions, kagglekit fetch --force",
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
