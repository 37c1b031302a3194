"""Draft `data.train`: a set for each tree or archive of labelled recordings, with its table's columns."""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from kagglekit.competitions import describing
from kagglekit.competitions.answers import ShownSample, is_sample
from kagglekit.competitions.describing import Described, named_column
from kagglekit.competitions.joined import is_label_list, tables_of
from kagglekit.competitions.look import Facts, is_number
from kagglekit.competitions.recordings import Group
from kagglekit.competitions.render import Guess
from kagglekit.competitions.splits import HIDDEN, SplitTest
from kagglekit.data.labels import split_cell

ABSENT = re.compile(r"(^|[_-])(fp|false|negatives?)([_.-]|$)", re.IGNORECASE)
PRESENT = re.compile(r"(^|[_-])(tp|true|positives?)([_.-]|$)", re.IGNORECASE)
NOISY = re.compile(r"nois|weak|unverified", re.IGNORECASE)
NONE = "nocall"


class Drafted(NamedTuple):
    """A drafted training set."""

    keys: dict[str, Any]
    labels: set[str]
    multi: bool
    """Whether a recording may have several labels."""
    groups: int
    """How many groups its folds have to choose from; 0: a recording is its own."""
    unlabelled: bool = False
    """Whether it has further recordings of the test's own kind, without labels."""


def draft_sets(
    facts: Facts,
    trains: Sequence[Group],
    sample: ShownSample | None,
    tests: Sequence[Group],
    split: SplitTest | None,
) -> list[Drafted]:
    """Return the training sets; where tables describe some recordings, others are no training set."""
    skipped = [sample.path if sample else None, *filter(is_sample, facts.tables)]
    skipped += [name for name in facts.tables if PurePosixPath(name).name.lower().startswith("test")]
    drafted, plain = [], []
    for group in trains:
        tables = tables_of(facts, group, skipped)
        if len(tables) > 1 and not _label({}, group, tables[0], sample)[0]:
            tables.sort(key=lambda one: not _label({}, group, one, sample)[0])
        absent = [one for one in tables if ABSENT.search(one.table)]
        present = [one for one in tables if PRESENT.search(one.table)]
        chosen = [present[0], absent[0]] if absent and present else tables[:1]
        drafted += [_described(facts, group, one, sample, one in absent, tests) for one in chosen]
        if not chosen:
            plain.append(group)
    for one in drafted:
        if split is not None and one.keys.get("table") == split.table:
            one.keys.update(split.train_keys)
    labelled = [group for group in plain if group.in_folders or not drafted]
    return drafted + [_plain(group, sample) for group in labelled[: None if drafted else 3]]


def _plain(group: Group, sample: ShownSample | None) -> Drafted:
    """Draft a set whose folders or file names are the labels."""
    keys = _files(group)
    labels: set[str] = set()
    if outer := _outer_folder(group, sample):
        keys["label"] = Guess({"path": outer}, "these folders are called as answers of the sample")
        labels = {hit[1] for path in group.paths if (hit := re.search(outer, path))}
    elif group.in_folders:
        inner = Guess("folder", "folders lie in folders, and the inner one is taken for the label")
        keys["label"] = inner if group.pattern.count("*/") > 1 else "folder"
        labels = {PurePosixPath(path).parent.name for path in group.paths}
    elif pattern := describing.name_labels(group.paths):
        keys["label"] = Guess({"name": pattern}, "this part of the names repeats, as labels do")
        labels = {hit[1] for p in group.paths if (hit := re.search(pattern, PurePosixPath(p).name))}
    else:
        keys["label"] = Guess("folder", "no table, folder or part of the names says what the labels are")
    groups = _name_group(keys, group)
    return Drafted(keys, labels, multi=False, groups=groups)


def _outer_folder(group: Group, sample: ShownSample | None) -> str | None:
    """Return the expression for outer folders, if these and not the inner ones are answers of the sample."""
    if sample is None or len(sample.others) != 1:
        return None
    answers = {word.strip() for cell in sample.cells for word in (cell, *re.split(r"[ ,;|]", cell))}
    folders = [path.split("/")[:-1] for path in group.paths]
    hits = [len(answers & set(names)) for names in zip(*folders, strict=False)]
    if len(set(map(len, folders))) != 1 or not hits or max(hits) == 0 or hits[-1] == max(hits):
        return None
    return "^" + "[^/]+/" * hits.index(max(hits)) + "([^/]+)/"


def _files(group: Group) -> dict[str, Any]:
    return {"files": Guess(group.pattern, group.check) if group.check else group.pattern}


def _name_group(keys: dict[str, Any], group: Group) -> int:
    pattern = describing.name_groups(group.paths)
    if pattern is None:
        return 0
    keys["group"] = Guess({"name": pattern}, "what must not be split between folds")
    return len({hit[1] for p in group.paths if (hit := re.search(pattern, PurePosixPath(p).name))})


def _described(
    facts: Facts,
    group: Group,
    one: Described,
    sample: ShownSample | None,
    absent: bool,
    tests: Sequence[Group],
) -> Drafted:
    keys: dict[str, Any] = {**_files(group), "table": one.table, "file": one.file}
    if one.table in facts.headless:
        one = _with_names(one)
        keys |= {"columns": one.frame.columns, "file": one.file}
    if one.file_pattern is not None:
        keys["file_pattern"] = Guess(
            {"name": one.file_pattern}, "the part of the names that the column holds"
        )
    if one.by_way_of is not None:
        keys["by_way_of"] = one.by_way_of
    labels, multi = _label(keys, group, one, sample)
    secondary = named_column(one.frame, ("secondary_labels",))
    if secondary is not None and any(cell not in (None, "[]") for cell in one.frame[secondary]):
        keys["secondary"] = Guess({"column": secondary, "as": "masked"}, "or soft, or positive")
    if not _exceeds(facts, group, one):
        _parts(keys, one)
    if absent:
        keys["positive"] = Guess(False, "by the table's name")
    if "low" in keys or absent:
        keys["unnamed"] = Guess("unknown", "nothing is known of classes that a row does not name")
    folds = describing.fold_column(one)
    column = describing.group_column(one, folds)
    if column is not None and keys.get("label") != column:
        keys["group"] = Guess(column, "what must not be split between folds")
        groups = one.frame[column].drop_nulls().n_unique()
    else:  # of the recordings that have a label, not of those beside them
        labelled = [group.paths[place] for place in sorted(set(one.path_of.values()))]
        groups = _name_group(keys, group._replace(paths=labelled or group.paths))
    if folds is not None:
        keys["fold"] = folds
        groups = 0
    if NOISY.search(group.pattern):
        keys["weight"] = Guess(0.3, "the name says that these labels are less sure")
        keys["validate"] = Guess(False, "the same")
    is_window = "end" in keys and "low" not in keys  # no box, which says nothing of what is around it
    if is_window and any(_alike(group, test) for test in tests):
        keys["domain"] = Guess("test", "recordings of the test's own kind: they alone are validated on")
    rest = "domain" in keys and one.files < len(group.paths)
    return Drafted(keys, labels, multi or "secondary" in keys, groups, rest)


def _with_names(one: Described) -> Described:
    """Name the columns of a table without a header: number, the classes from 1, and the seconds."""
    classes = describing.class_columns(one)
    names = {one.file: "number", **{column: str(place) for place, column in enumerate(classes, 1)}}
    rest = [column for column in one.frame.columns if column not in names]
    if len(rest) == 1 and classes and all(map(is_number, one.frame[rest[0]].drop_nulls())):
        names[rest[0]] = "seconds"
    return one._replace(frame=one.frame.rename(names), file="number")


def _label(
    keys: dict[str, Any], group: Group, one: Described, sample: ShownSample | None
) -> tuple[set[str], bool]:
    """Add `label` and what tells how to read it; return the labels, and whether there may be several."""
    if one.ragged:
        lists = one.frame.to_series(1).to_list() if is_label_list(one.frame) else []
        keys["ragged"] = True
        return _without_hidden(keys, {label for some in lists for label in some}), True
    answer = sample.others[0] if sample and len(sample.others) == 1 else None
    classes = sample.classes if sample else []
    columns = describing.class_columns(one)
    folders = [""] * len(one.frame)
    if group.in_folders and len(one.path_of) > len(one.frame) / 2:
        places = [one.path_of.get(cell or "") for cell in one.frame[one.file]]
        folders = ["" if at is None else PurePosixPath(group.paths[at]).parent.name for at in places]
    column = describing.label_column(one, answer, classes, folders)
    if len(columns) > 2 and (column is None or column in columns or set(columns) <= set(classes)):
        keys["label"] = None
        return set(columns), True
    if column is None:
        why = "no column of the table looks like labels"
        keys["label"] = Guess("folder" if group.in_folders else one.frame.columns[-1], why)
        return set(), False
    cells = [cell for cell in one.frame[column] if cell]
    delimiter = describing.delimiter_of(cells, classes)
    labels = {label for cell in cells for label in split_cell(cell, delimiter)}
    sure = (
        column == answer
        or (classes and labels <= {*classes, NONE})
        or column.lower() in describing.LABEL_NAMES
    )
    keys["label"] = column if sure else Guess(column, "its values repeat, as labels do")
    if delimiter is not None:
        keys["delimiter"] = delimiter
    labels = _without_hidden(keys, labels)
    return labels, delimiter is not None or any(cell.startswith("[") for cell in cells)


def _without_hidden(keys: dict[str, Any], labels: set[str]) -> set[str]:
    if HIDDEN in labels:
        keys["hidden"] = HIDDEN
    return labels - {HIDDEN}


def _parts(keys: dict[str, Any], one: Described) -> None:
    """Add start and end of annotated parts, and their boxes."""
    frame, label = one.frame, keys.get("label")
    start = named_column(frame, describing.STARTS, one.file, label)
    end = named_column(frame, describing.ENDS, one.file, label)
    if start is not None and end is not None:
        keys |= {"start": start, "end": end}
    elif end is not None and end.lower() != "offset" and frame[one.file].n_unique() < len(frame):
        keys["end"] = end
        keys["length"] = describing.window_length(frame, end) or Guess(5, "the seconds of a row of the table")
    low, high = named_column(frame, describing.LOWS), named_column(frame, describing.HIGHS)
    if start is not None and low is not None and high is not None:
        keys |= {"low": low, "high": high}


def _exceeds(facts: Facts, group: Group, one: Described) -> bool:
    """Tell whether ends lie behind recordings that were read: they are times in what these were cut from."""
    end = named_column(one.frame, describing.ENDS, one.file)
    if end is None or not group.paths:
        return False
    for cell, value in zip(one.frame[one.file], one.frame[end], strict=True):
        place = one.path_of.get(cell or "")
        heard = None if place is None else facts.heard.get(group.paths[place])
        if heard is not None and is_number(value) and float(value or 0) > 2 * heard.seconds + 1:
            return True
    return False


def _alike(group: Group, test: Group) -> bool:
    """Tell whether two sets have the same name but for train and test."""
    names = [re.sub("train|test", "", one.pattern.lower()) for one in (group, test)]
    return names[0] == names[1]
