"""Find the table that describes a set of recordings, and what its columns are."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice
from math import gcd
from pathlib import PurePosixPath
from typing import NamedTuple

import polars as pl

from kagglekit.competitions.look import is_number
from kagglekit.competitions.recordings import Group
from kagglekit.data.labels import split_cell
from kagglekit.errors import TableError
from kagglekit.files import ids
from kagglekit.files.patterns import is_audio

FILE_NAMES = (
    "filename",
    "file_name",
    "fname",
    "file",
    "filepath",
    "path",
    "audio_id",
    "recording_id",
    "clip_name",
)
LABEL_NAMES = (
    *("label", "labels", "ebird_code", "primary_label", "birds", "species_id", "species", "class", "classid"),
    *("target", "category", "genre_id", "genre", "emotion", "command", "word", "tag", "tags", "y"),
)
GROUP_NAMES = (
    *(
        "speaker",
        "speaker_id",
        "author",
        "recordist",
        "recording",
        "site",
        "location",
        "machine",
        "machine_id",
    ),
    *("session", "subject", "user", "user_id", "artist", "source", "src_file", "fsid", "freesound_id"),
)
FOLD_NAMES = ("fold", "folds", "kfold", "cv_fold")
STARTS = ("start", "t_min", "start_time", "start_seconds", "onset", "begin", "start_s")
ENDS = ("end", "t_max", "end_time", "end_seconds", "offset", "seconds", "end_s")
LOWS, HIGHS = ("low", "f_min", "min_frequency", "low_freq"), ("high", "f_max", "max_frequency", "high_freq")
PATTERNS = (r"^(\d+)_", r"(\d+)\.", r"^([^_]+)_", r"_([^_]+)\.")
"""Parts of a file's name that a column may hold."""
TRIED = 200
"""Ids that are tried first."""
FEW_GROUPS = 3
"""Fewer cannot be folds of which each resembles the others."""
DELIMITERS = (",", ";", "|", " ")


class Described(NamedTuple):
    """A table that describes recordings."""

    table: str
    frame: pl.DataFrame
    file: str
    """Column with the recording."""
    file_pattern: str | None
    path_of: dict[str, int]
    """Id -> place among the group's paths."""
    by_way_of: dict[str, str] | None = None
    """Table, id and file of the table that turns the ids into files."""
    ragged: bool = False
    """The table is an id and a list of labels."""

    @property
    def files(self) -> int:
        """Number of recordings that have a row."""
        return len(set(self.path_of.values()))


def describe(group: Group, name: str, frame: pl.DataFrame) -> Described | None:
    """Return how a table describes a group's recordings; None if it does not."""
    best, score = None, (0.0, False, False, 0.0)
    for column in frame.columns[:60]:
        if frame.schema[column] != pl.String:  # the list of a ragged table
            continue
        values = [one for one in frame[column].unique(maintain_order=True).to_list() if one]
        if not values:
            continue
        numbers = all(map(ids.number, values))
        for pattern in (None, *PATTERNS):
            path_of = _matched(values, group.paths, pattern, numbers)
            if not path_of:
                continue
            cover = len(path_of) / len(group.paths)
            listed = column.lower() in FILE_NAMES
            if len(path_of) < 0.5 * len(values) and cover < 0.5:
                continue
            if numbers and not listed and cover < 0.5:  # a count, which means no file
                continue
            rank = -FILE_NAMES.index(column.lower()) / 100 if listed else -1.0
            now = (round(cover, 1), pattern is None, not numbers, rank)
            if best is None or now > score:
                best, score = Described(name, frame, column, pattern, path_of), now
            break
    return best


def unseen(group: Group, name: str, frame: pl.DataFrame) -> Described | None:
    """Return a table that names recordings which were not looked at, by its column's name and cells."""
    column = named_column(frame, FILE_NAMES)
    cells = [] if column is None else [cell for cell in frame[column][:TRIED] if cell]
    if column is None or not cells or not all(map(is_audio, cells)):
        return None
    return Described(name, frame, column, None, {})


def _matched(
    values: Sequence[str], paths: Sequence[str], pattern: str | None, numbers: bool
) -> dict[str, int]:
    names = list(paths)
    if pattern is not None:
        parts = [re.search(pattern, PurePosixPath(path).name) for path in paths]
        names = [part[1] if part else "" for part in parts]
        if len(set(names)) < len(names):  # a part that many files share names none of them
            return {}
    try:
        if len(values) > TRIED and not ids.match(values[:TRIED], names, "", numbers=numbers).path_of:
            return {}
        return ids.match(values, names, "", numbers=numbers).path_of
    except TableError:
        return {}


def named_column(frame: pl.DataFrame, names: Iterable[str], *others: str | None) -> str | None:
    """Return the first column that has one of the names, in any case, except `others`."""
    by_name = {column.lower(): column for column in frame.columns if column not in others}
    return next((by_name[name] for name in names if name in by_name), None)


def label_column(
    described: Described, answer: str | None, classes: Sequence[str], folders: Sequence[str]
) -> str | None:
    """Return the column with the labels: by the sample's name for it, its classes, its own name, repetition.

    Args:
        answer: the sample's column of answers.
        classes: the sample's classes, where it names them.
        folders: the folder of each row's recording.
    """
    frame, wanted = described.frame, set(classes)
    best, score = None, 0.0
    for column in frame.columns:
        kind = column.lower()
        cells = [cell for cell in frame[column].to_list() if cell]
        if column == described.file or not cells or kind in (*FOLD_NAMES, *STARTS, *ENDS, *LOWS, *HIGHS):
            continue
        if kind in FILE_NAMES or kind in ("secondary_labels", "manually_verified"):
            continue
        labels = set().union(*(split_parts(cell) for cell in islice(cells, 2000)))
        now = 4.0 * (column == answer)
        now += 3.0 * (len(labels & wanted) / max(len(labels), 1)) if wanted else 0
        now += 2.0 * (kind in LABEL_NAMES) * (1 - LABEL_NAMES.index(kind) / 50 if kind in LABEL_NAMES else 1)
        now += 1.0 * (len(folders) == len(cells) and list(folders) == cells)
        now += 0.5 * (len(set(cells)) <= len(cells) / 2) - 0.5 * (len(set(cells)) < 2)
        now -= 2.0 * (kind in GROUP_NAMES) + 0.3 * (not wanted and kind.endswith("_id") and column != answer)
        if now > score:
            best, score = column, now
    return best if score >= 0.5 else None


def split_parts(cell: str) -> set[str]:
    """Return a cell, and its parts at any delimiter."""
    if cell.startswith("["):
        return set(split_cell(cell, None))
    return {cell, *(part.strip() for part in re.split(r"[,;|]", cell))}


def delimiter_of(cells: Sequence[str], classes: Sequence[str]) -> str | None:
    """Return what separates labels in cells; None if each has one, or is a list literal."""
    plain = {cell for cell in cells if not cell.startswith("[")}
    for delimiter in DELIMITERS:
        joined = [cell for cell in plain if delimiter in cell]
        if not joined:
            continue
        parts = {part.strip() for cell in joined for part in cell.split(delimiter)}
        known = set(classes) or {cell for cell in plain if delimiter not in cell}
        if len(parts & known) >= 0.5 * len(parts) and not set(joined) & set(classes):
            return delimiter
    return None


def class_columns(described: Described) -> list[str]:
    """Return the columns of zeros and ones; [] where they are fewer than three, and no classes."""
    frame = described.frame
    columns = [
        column
        for column in frame.columns
        if column != described.file and set(frame[column].drop_nulls()) <= {"0", "1", "0.0", "1.0"}
    ]
    return columns if len(columns) >= 3 else []


def group_column(described: Described, *others: str | None) -> str | None:
    """Return the column with what must not be split: a known name with values that repeat."""
    column = named_column(described.frame, GROUP_NAMES, described.file, *others)
    if column is None:
        return None
    values = described.frame[column].drop_nulls()
    return column if FEW_GROUPS <= values.n_unique() < len(values) else None


def fold_column(described: Described) -> str | None:
    """Return the column with given folds: 2 to 20 whole numbers."""
    column = named_column(described.frame, FOLD_NAMES, described.file)
    if column is None:
        return None
    values = set(described.frame[column].drop_nulls())
    return column if 2 <= len(values) <= 20 and all(map(is_number, values)) else None


def window_length(frame: pl.DataFrame, end: str) -> int | None:
    """Return the seconds between the ends of windows, where only ends are given."""
    values = [float(cell) for cell in frame[end].drop_nulls() if is_number(cell)]
    if not values or any(value != int(value) for value in values):
        return None
    return gcd(*map(int, values)) or None


def name_groups(paths: Sequence[str]) -> str | None:
    """Return the expression on file names that finds speakers, sites or days; None if none does."""
    names = [PurePosixPath(path).name for path in paths]
    for pattern in (r"^(.+?)_nohash_", r"_(S\d+)_", r"^(PC\d+)_", r"^(\d{8})_"):
        values = [part[1] for name in names if (part := re.search(pattern, name))]
        if len(values) == len(names) and FEW_GROUPS <= len(set(values)) < len(values):
            return pattern
    return None


def name_labels(paths: Sequence[str]) -> str | None:
    """Return the expression on file names whose group repeats like a label; None if none does."""
    names = [PurePosixPath(path).name for path in paths]
    endings = Counter(PurePosixPath(name).suffix for name in names)
    ending = re.escape(endings.most_common(1)[0][0]) if endings else ""
    for pattern in (
        rf"_([01]){ending}$",
        rf"[_-]([A-Za-z]+){ending}$",
        r"^([A-Za-z]+)[_-]",
        rf"[_-](\d+){ending}$",
    ):
        values = [part[1] for name in names if (part := re.search(pattern, name))]
        if len(values) >= 0.9 * len(names) and 1 < len(set(values)) <= len(values) / 2:
            return pattern
    return None
