"""Read the sample submission: its shape, its columns, and what its rows are."""

import re
from collections.abc import Collection, Iterator, Sequence
from math import gcd
from pathlib import PurePosixPath
from typing import NamedTuple

import polars as pl

from kagglekit.competitions.describing import describe, named_column
from kagglekit.competitions.look import Facts, is_number
from kagglekit.competitions.metric_names import family
from kagglekit.competitions.recordings import Group
from kagglekit.competitions.render import Guess
from kagglekit.errors import TableError
from kagglekit.files import ids

ID_NAMES = ("row_id", "id", "fname", "filename", "file_name", "recording_id", "clip", "song_id", "clip_name")
CHANCES = re.compile(r"prob|score|pred|is_|chance|likelihood")
ENDS = ("seconds", "end_time", "end", "end_seconds")
TAIL = re.compile(r"^(.+)_(\d+)$")
LONGEST_ROW = 60
MOST_CLASSES = 10_000
HINTED = ("sample", "example", "submission")


class ShownSample(NamedTuple):
    """The sample submission."""

    path: str | None
    """None: an example on the page about evaluation."""
    frame: pl.DataFrame
    id: str
    others: list[str]
    """The columns of answers."""
    check: str = ""

    @property
    def ids(self) -> list[str]:
        """The cells of the id column."""
        return [one for one in self.frame[self.id].to_list() if one]

    @property
    def cells(self) -> list[str]:
        """The answers of a sample with one column of them."""
        return [one for one in self.frame[self.others[0]].to_list() if one]

    @property
    def classes(self) -> list[str]:
        """The classes, where each has a column."""
        single = len(self.others) == 1
        return self.others if not single and not self.frame[self.id].is_duplicated().any() else []


def find_sample(facts: Facts) -> ShownSample | None:
    """Return the sample submission: the table whose name says so."""
    best, score = None, 0
    for name in facts.tables:
        lower = PurePosixPath(name).name.lower()
        now = sum(word in lower for word in HINTED) + ("submi" in lower)
        if now > score:
            best, score = name, now
    shown, check = facts.example, "no file is named like a sample; the page about evaluation shows one"
    if shown is None and facts.solution is not None:
        kept = [name for name in facts.solution.columns if name.lower() != "usage"]
        shown, check = (
            facts.solution.select(kept),
            "no file is named like a sample; these are the solution's columns",
        )
    if best is not None:
        frame = facts.tables[best]
        if facts.example is None or not _replaces(facts.example.columns, frame.columns):
            return _sample(best, frame, "")
        check = f"the page about evaluation shows other columns than {PurePosixPath(best).name}"
    return None if shown is None else _sample(None, shown, check)


def _sample(path: str | None, frame: pl.DataFrame, check: str) -> ShownSample:
    column = named_column(frame, ID_NAMES) if frame.width == 2 else None
    first = column or frame.columns[0]
    return ShownSample(path, frame, first, [name for name in frame.columns if name != first], check)


def _replaces(shown: Sequence[str], columns: Sequence[str]) -> bool:
    """Tell whether a page shows another table than a file, and not some of the file's columns."""
    known = {column.lower() for column in columns}
    return len(shown) != len(columns) and any(column.lower() not in known for column in shown)


def is_sample(path: str) -> bool:
    """Tell whether a table is named like a sample submission."""
    return any(word in PurePosixPath(path).name.lower() for word in HINTED)


JOINERS = (",", ";", "|")  # besides the space, of several labels in a cell


class ShownShape(NamedTuple):
    """The shape of a submission."""

    name: str
    check: str = ""
    k: int = 1
    """Labels in a cell of top_k."""
    joiner: str = " "
    """Text between them."""
    answers: bool = False
    """True and False in the shape long."""
    ids: str = "{id}"
    none: str | None = None
    class_column: str | None = None


def shape_of(
    facts: Facts,
    sample: ShownSample,
    tests: Sequence[Group],
    known: Collection[str],
    keys: Sequence[str] = (),
) -> ShownShape:
    """Return the shape that a sample shows.

    Args:
        known: labels of the training data, by which classes in ids are found.
        keys: ids by which a table names the recordings.
    """
    if len(sample.others) == 2 and sample.frame[sample.id].is_duplicated().any():
        return ShownShape("long", class_column=sample.others[0])
    if len(sample.others) > 1:
        return ShownShape("probabilities")
    cells, metric, answer = sample.cells, family(facts.metric), sample.others[0]
    template = _numbers_in_ids(sample.ids, keys, len(known)) or _class_in_ids(sample.ids, tests, known)
    if template is not None:
        answers = all(cell.lower() in ("true", "false") for cell in cells)
        return ShownShape("long", answers=answers, ids=template)
    nocall = next((cell for cell in set(cells) if cell.lower() == "nocall"), None)
    if nocall is not None or metric == "f1":
        usual = nocall or ("nocall" if "bird" in f"{facts.slug} {facts.title}".lower() else None)
        return ShownShape("label_list", "" if nocall else "by the metric's name", none=usual)
    joiner, counts = " ", {len(cell.split(" ")) for cell in cells}
    for other in JOINERS:
        shared = {len(cell.split(other)) for cell in cells}
        if len(shared) == 1 and max(shared) > 1:
            joiner, counts = other, shared
    if metric == "map_at_k" or (len(counts) == 1 and max(counts) > 1):
        check = "" if metric else "cells hold several words"
        return ShownShape("top_k", check, k=max(counts, default=3), joiner=joiner)
    if all(map(is_number, cells)) and (CHANCES.search(answer.lower()) or metric == "auc"):
        return ShownShape("probability")
    return ShownShape("label")


def _class_in_ids(rows: Sequence[str], tests: Sequence[Group], known: Collection[str]) -> str | None:
    """Return the template of ids that name a class: {stem}_{class}_{end} or {id}_classnumber_{class}."""
    classes = set(known)
    hits = [TAIL.match(one) for one in rows]
    inner = [_ends_with_class(hit[1], classes) for hit in hits if hit]
    if rows and len(inner) == len(rows) and all(inner):
        return "{stem}_{class}_{end}"
    names = {PurePosixPath(path).name for group in tests for path in group.paths}
    stems = {ids.stem(name) for name in names}
    literals = set()
    for one in rows:
        at = next((i for i in range(len(one) - 1, 0, -1) if one[:i] in names or one[:i] in stems), None)
        part = re.fullmatch(r"(\D+)(\d+)", one[at:]) if at else None
        if part is None:
            return None
        literals.add(part[1])
    return f"{{id}}{literals.pop()}{{class}}" if len(literals) == 1 and literals != {"_"} else None


def _ends_with_class(text: str, classes: Collection[str]) -> bool:
    """Tell whether a text ends with _CLASS."""
    parts = text.split("_")
    return any("_".join(parts[i:]) in classes for i in range(1, len(parts)))


class TestRows(NamedTuple):
    """What the rows of a submission are."""

    keys: dict[str, object]
    """Keys of `rows`."""
    every: int | None = None
    file_pattern: str | None = None
    check: str = ""


def rows_of_test(facts: Facts, sample: ShownSample, shape: ShownShape, tests: Sequence[Group]) -> TestRows:
    """Return what the rows are: recordings, windows of them, or what a table of the test names."""
    if shape.name == "long" and "{end}" not in shape.ids:
        return TestRows({})
    paths = [path for group in tests for path in group.paths]
    table = None if shape.name == "long" else _table_of_rows(facts, sample, tests)
    if table is not None:
        return table
    if paths and sample_matches(sample.ids, paths):
        stems = {PurePosixPath(path).stem for path in paths}
        return TestRows({"id": "{stem}"} if set(sample.ids) <= stems else {})
    tails = [TAIL.match(one) for one in sample.ids]
    if not all(tails) or not tails:
        return TestRows({}, check="no id of the sample is a file of the test")
    every = gcd(*(int(tail[2]) for tail in tails if tail))
    if not 2 <= every <= LONGEST_ROW:  # a number in the name, and no time
        return TestRows({}, check="no id of the sample is a file of the test")
    shown = every if paths else Guess(every, "the ids end so; no recording of the test was seen")
    begins = any(int(tail[2]) == 0 for tail in tails if tail)  # no row ends at 0
    return TestRows({"every": shown, "id": "{stem}_{start}" if begins else "{stem}_{end}"}, every)


def sample_matches(rows: Sequence[str], paths: Sequence[str]) -> list[str]:
    """Return the ids of a sample that mean a file."""
    try:
        return list(ids.match(rows, paths, "", numbers=all(map(ids.number, rows))).path_of)
    except TableError:
        return []


def _table_of_rows(facts: Facts, sample: ShownSample, tests: Sequence[Group]) -> TestRows | None:
    wanted = set(sample.ids)
    for name, frame in facts.tables.items():
        if name == sample.path or "train" in PurePosixPath(name).name.lower():
            continue
        column = next((c for c in frame.columns if wanted <= set(frame[c].drop_nulls())), None)
        if column is None:
            continue
        end = named_column(frame, ENDS, column)
        keys: dict[str, object] = {"table": name, "id_column": column}
        every = None
        if end is not None:
            numbers = [float(cell) for cell in frame[end].drop_nulls() if is_number(cell)]
            every = gcd(*(round(number) for number in numbers)) or None
        for group in tests:
            described = describe(group, name, frame)
            if described is None:
                continue
            if described.file == column and end is None:
                return None  # the ids are the files
            keys["file"] = described.file
            keys |= {} if every is None else {"end": end, "every": every}
            return TestRows(keys, every, described.file_pattern)
        file = named_column(frame, ("audio_id", "filename", "file_id", "file", "fname"), column)
        if file is not None:
            keys["file"] = file
            keys |= {} if every is None else {"end": end, "every": every}
            return TestRows(keys, every, None, "no recording of the test is there to compare its ids with")
    return None


def _numbers_in_ids(rows: Sequence[str], keys: Sequence[str], classes: int) -> str | None:
    """Return the template of ids that are a recording's number times a power of ten, plus a class's.

    Args:
        rows: ids of the sample.
        keys: ids of recordings, of which some are not the test's.
        classes: how many there are.
    """
    if not rows or not classes or not all(one.isdecimal() for one in [*rows, *keys]):
        return None
    numbers, known = [int(one) for one in rows], {int(one) for one in keys}
    if known.issuperset(numbers):
        return None
    for factor in _powers(classes):
        if all(number // factor in known and number % factor < classes for number in numbers):
            return f"{{id*{factor}+number}}"
    return None


def _powers(least: int) -> Iterator[int]:
    factor = 10
    while factor <= 10**6:
        if factor >= least:
            yield factor
        factor *= 10


def class_table(facts: Facts, labels: set[str]) -> dict[str, str] | None:
    """Return the shortest table with a column that has each label of the data once, and that column."""
    for name, frame in sorted(facts.tables.items(), key=lambda one: len(one[1])):
        for column in frame.columns:
            cells = frame[column]
            distinct = not cells.is_duplicated().any() and not cells.null_count()
            if labels and distinct and labels <= set(cells) and len(cells) <= MOST_CLASSES:
                return {"table": name, "column": column}
    return None
