"""Find the tables that describe recordings, also by way of another table."""

from collections.abc import Collection, Iterable, Sequence

import polars as pl

from kagglekit.competitions.describing import Described, describe, unseen
from kagglekit.competitions.look import Facts, is_number
from kagglekit.competitions.recordings import Group


def tables_of(facts: Facts, group: Group, without: Iterable[str | None]) -> list[Described]:
    """Return the tables that describe a group, the best first."""
    skipped = set(without)
    find = describe if group.paths else unseen
    described: list[Described] = [
        one
        for name, frame in {**facts.tables, **facts.ragged}.items()
        if name not in skipped and (one := find(group, name, frame)) is not None
    ]
    described = [one._replace(ragged=one.table in facts.ragged) for one in described]
    described.sort(key=lambda one: (-one.files, one.file_pattern is not None, one.table))
    return described + [one for names in described for one in _by_way_of(facts, names, described, skipped)]


def _by_way_of(
    facts: Facts, names: Described, described: Sequence[Described], skipped: Collection[str | None]
) -> list[Described]:
    """Return the tables that share a column of distinct ids with a table of file names."""
    seen = {one.table for one in described} | set(skipped)
    joined = []
    for name, frame in {**facts.tables, **facts.ragged}.items():
        for key in names.frame.columns if name not in seen else ():
            ids = names.frame[key]
            if key == names.file or key not in frame.columns or ids.is_duplicated().any():
                continue
            files = dict(zip(ids, names.frame[names.file], strict=True))
            cells = set(frame[key].drop_nulls()) if frame.schema[key] == pl.String else set()
            places = {cell: names.path_of.get(files.get(cell) or "") for cell in cells}
            path_of = {cell: place for cell, place in places.items() if place is not None}
            if path_of and len(path_of) >= 0.5 * len(cells):
                by_way_of = {"table": names.table, "id": key, "file": names.file}
                joined.append(Described(name, frame, key, None, path_of, by_way_of, name in facts.ragged))
                break
    return sorted(joined, key=lambda one: (not one.ragged, -one.files, one.table))


def is_label_list(frame: pl.DataFrame) -> bool:
    """Tell whether the rest of ragged rows are labels: words or whole numbers that repeat."""
    parts = [part for row in frame.to_series(1).to_list() for part in row]
    numbers = [part for part in set(parts) if is_number(part)]
    return bool(parts) and len(set(parts)) <= len(parts) / 2 and all(map(str.isdecimal, numbers))
