"""Match the ids of a table with files: the one rule for labels, lists, samples and solutions.

An id and a file belong together where they are equal; else where they are equal
1. without spaces around, in one Unicode form, with `/` between folders,
2. without the ending of an audio file, in any case of its letters,
3. without the folders that only one of them names,
4. without any folder, where no id with a folder has found a file by then,
5. as numbers (007 and 7), where the caller asks for it.
An id takes the first of these that finds a file. Several files for an id, or several ids for a file, are an
error that shows both.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from kagglekit.errors import TableError
from kagglekit.files.patterns import is_audio
from kagglekit.files.tables import SPACES

Candidates = Iterable[tuple[str, list[int]]]
"""Ids, each with the places of the files that it fits."""
NUMBER = re.compile(r"\d{1,18}(\.0*)?")
SHOWN = 3


class IdMatch(NamedTuple):
    """Which file each id means."""

    path_of: dict[str, int]
    """Each id, as it is spelled, with its file's place among the paths."""
    unmatched_ids: list[str]
    """Distinct, in order."""
    unmatched_paths: list[str]
    how: tuple[str, ...]
    """How ids were matched that are not equal to their path: "without the ending of the file" ..."""


def match(ids: Iterable[str | None], paths: Sequence[str], what: str, *, numbers: bool = False) -> IdMatch:
    """Match ids with paths by the rule of this module.

    Args:
        ids: one for each row of a table, in which a recording may have several rows; None and "" are passed.
        paths: the files, each with its folders.
        what: the table, for messages.
        numbers: also match ids and files that are the same number.

    Raises:
        TableError: an id fits several files, or several ids fit one file.
    """
    distinct = [one for one in dict.fromkeys(ids) if one]
    place_of = dict(zip(paths, range(len(paths)), strict=True))
    path_of = {one: place_of[one] for one in distinct if one in place_of}
    if len(place_of) < len(paths) and (twice := _twice(paths, path_of)):
        raise TableError(f"{what}: the id {twice!r} means two files of that name", hint=_HINT)
    left = [one for one in distinct if one not in path_of]
    how: list[str] = []
    claimed = {place: one for one, place in path_of.items()}
    stems = list(map(stem, paths)) if left else []
    stages: list[tuple[str, Callable[[list[str]], Candidates]]] = [
        ("without spaces, in one Unicode form", lambda some: _equal(some, map(plain, paths), plain)),
        ("without the ending of the file", lambda some: _equal(some, stems, stem)),
        ("without folders", lambda some: _by_end(some, paths, stems)),
        ("without folders", lambda some: _by_name(some, stems, path_of)),
    ]
    if numbers:
        stages.append(("as numbers", lambda some: _equal(some, map(number, stems), number)))
    for words, stage in stages:
        if not left:
            break
        before = len(path_of)
        _take(stage(left), path_of, claimed, paths, what)
        if len(path_of) > before:
            how += [words] if words not in how else []
            left = [one for one in left if one not in path_of]
    return IdMatch(path_of, left, [p for place, p in enumerate(paths) if place not in claimed], tuple(how))


_HINT = "name each file as the table does, with its folder where names repeat, and once"


def describe(names: Sequence[str]) -> str:
    """Return up to SHOWN names, for a message."""
    return ", ".join(map(repr, names[:SHOWN])) + ", ..." * (len(names) > SHOWN)


def plain(name: str) -> str:
    """Return a name without spaces around, as NFC, with `/` between its folders."""
    name = name.strip(SPACES).replace("\\", "/")
    if not name.isascii():
        name = unicodedata.normalize("NFC", name)
    while name.startswith("./"):
        name = name[2:]
    return name


def stem(name: str) -> str:
    """Return a plain name without the ending of an audio file."""
    name = plain(name)
    start = name.rpartition(".")[0]
    return start if start and is_audio(name) else name


def number(name: str) -> str:
    """Return the number that a file's name or an id is, as 7 for 007 and 7.0; "" for other names."""
    last = stem(name).rpartition("/")[2]
    return str(int(last.partition(".")[0])) if last.isascii() and NUMBER.fullmatch(last) else ""


def _twice(paths: Sequence[str], wanted: dict[str, int]) -> str | None:
    seen: set[str] = set()
    for path in paths:
        if path in seen and path in wanted:
            return path
        seen.add(path)
    return None


def _equal(ids: list[str], path_keys: Iterable[str], key: Callable[[str], str]) -> Candidates:
    """Yield the places of the paths whose key is an id's."""
    keys = {one: key(one) for one in ids}
    wanted, places = set(keys.values()), defaultdict(list)
    for place, name in enumerate(path_keys):
        if name in wanted:
            places[name].append(place)
    return ((one, places[name]) for one, name in keys.items() if name and name in places)


def _by_end(ids: list[str], paths: Sequence[str], stems: Sequence[str]) -> Candidates:
    """Yield the places of the paths of which an id is the end, or the other way round.

    Of several, those with the id's own ending come first.
    """
    id_stems = list(map(stem, ids))
    wanted = {name.rpartition("/")[2] for name in id_stems} - {""}
    by_name: dict[str, list[int]] = defaultdict(list)
    by_folder: dict[tuple[str, str], list[int]] = defaultdict(list)  # of the last folder, "" where none is
    for place, path in enumerate(stems):
        folders, _, name = path.rpartition("/")
        if name in wanted:
            by_name[name].append(place)
            by_folder[folders.rpartition("/")[2], name].append(place)
    for one, one_stem in zip(ids, id_stems, strict=True):
        folders, _, name = one_stem.rpartition("/")
        if folders:
            near = by_folder.get((folders.rpartition("/")[2], name), []) + by_folder.get(("", name), [])
            places = [place for place in near if _agree(one_stem, stems[place])]
        else:
            places = by_name.get(name, [])
        if len(places) > 1:
            last = plain(one).rpartition("/")[2]
            places = [p for p in places if plain(paths[p]).rpartition("/")[2] == last] or places
        if places:
            yield one, places


def _by_name(ids: list[str], stems: Sequence[str], path_of: dict[str, int]) -> Candidates:
    """Yield the places of the paths with an id's name in another folder, where folders say nothing."""
    if any("/" in plain(one) and "/" in stems[place] for one, place in path_of.items()):
        return ()
    names = (path.rpartition("/")[2] for path in stems)
    return _equal(ids, names, lambda one: stem(one).rpartition("/")[2])


def _agree(one: str, other: str) -> bool:
    """Return whether the shorter of two paths is the end of the longer one."""
    short, long = sorted((one, other), key=len)
    return short == long or long.endswith("/" + short)


def _take(
    candidates: Candidates,
    path_of: dict[str, int],
    claimed: dict[int, str],
    paths: Sequence[str],
    what: str,
) -> None:
    """Give each id its only candidate.

    An id of another folder than a file that is taken already means another file, which is not there; but not
    where both are matched without their folders.
    """
    before = set(claimed)
    for one, places in candidates:
        if len(places) > 1:
            raise TableError(
                f"{what}: the id {one!r} fits {len(places):,} files: {describe([paths[p] for p in places])}",
                hint=_HINT,
            )
        other = claimed.get(places[0])
        if other is not None:
            if places[0] in before and not _agree(stem(one), stem(other)):
                continue
            raise TableError(
                f"{what}: the ids {other!r} and {one!r} both mean the file {paths[places[0]]!r}", hint=_HINT
            )
        claimed[places[0]] = one
        path_of[one] = places[0]
