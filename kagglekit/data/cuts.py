"""Cut recordings into clips: annotated parts for training, rows for the test."""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from kagglekit.config import Audio, Rows
from kagglekit.data.fields import seconds
from kagglekit.data.matching import files_of, rows_of
from kagglekit.errors import ConfigError, plural
from kagglekit.files.lookup import File
from kagglekit.files.resolve import holds_no_recording, list_files
from kagglekit.files.workspace import Workspace
from kagglekit.terminal import console

MOST_ROWS = 10_000  # of a recording: an hour of rows of 0.36 s
SHORTEST_ROW = 0.1  # of rows.every: a shorter rest of a recording is no row

Int16 = npt.NDArray[np.int16]


class Cut(NamedTuple):
    """A clip of a recording."""

    clip_id: str
    start: float | None = None
    """Seconds; None: the whole recording."""
    end: float | None = None


Cutter = Callable[[str, float], Sequence[Cut]]
"""From a file's path and its length in seconds to its clips."""


def part_of(start: float | None, end: float | None) -> str:
    """Return what an annotated part adds to its recording's name: "#1.5-3", and "" for the whole."""
    return "" if start is None or end is None else f"#{start:.9g}-{end:.9g}"


def clip_ids(paths: Sequence[str], depth: int) -> list[str]:
    """Shorten paths to their last parts, at least `depth`, and so many that all differ."""
    distinct, parts = len(set(paths)), [path.split("/") for path in paths]
    longest = max(map(len, parts), default=1)
    for count in range(depth, longest):
        short = ["/".join(part[-count:]) for part in parts]
        if len(set(short)) == distinct:
            return short
    return list(paths)


def with_clip_ids(annotations: pl.DataFrame) -> pl.DataFrame:
    """Add clip_id, and make the recording the group of its parts where no other group is known."""
    recording = pl.Series("recording", clip_ids(annotations["path"].to_list(), 2), pl.String)
    ids = [
        name + part_of(start, end)
        for name, start, end in zip(recording, annotations["start"], annotations["end"], strict=True)
    ]
    part = pl.col("start").is_not_null() & pl.col("group").is_null()
    return annotations.with_columns(
        pl.Series("clip_id", ids, pl.String), group=pl.when(part).then(recording).otherwise("group")
    )


def train_cutter(annotations: pl.DataFrame) -> Cutter:
    """Return the cutter of annotated recordings, from the table of `with_clip_ids`."""
    cuts: dict[str, list[Cut]] = {}
    for path, *cut in annotations.select("path", "clip_id", "start", "end").iter_rows():
        cuts.setdefault(path, []).append(Cut(*cut))
    return lambda path, _: cuts.get(path, [])


def test_cutter(workspace: Workspace) -> tuple[list[File], Cutter]:
    """Return the test's files and their cutter: whole recordings, windows, or the rows of a table.

    Raises:
        ConfigError: a table lacks a column, or its ids mean no file.
        KagglekitError: as `list_files`.
    """
    config = workspace.config
    hidden = config.competition.delivery == "notebook" or holds_no_recording(
        workspace, config.data.test.files
    )
    files, rows = list_files(workspace, config.data.test.files, empty_ok=hidden), config.rows
    if not files:
        console.note(f"{config.data.test.files}: no test recordings here; the host shows them to notebooks")
        return [], lambda path, _: []
    paths = [file.path for file in files]
    if config.data.test.table is not None:
        named = set(rows_of(workspace, config.data.test, paths, "data.test").path)
    else:
        named = set(files_of(config.data.test, paths, "data.test"))
    files = [file for file in files if file.path in named]
    paths = [file.path for file in files]
    if rows.table is not None:
        return files, _table_cutter(workspace, rows, paths)
    shorts = dict(zip(paths, clip_ids(paths, 1), strict=True))

    def cut(path: str, length: float) -> list[Cut]:
        times = enumerate(row_times(path, length, rows.every))
        return [Cut(_row_id(rows, shorts[path], path, number, *time), *time) for number, time in times]

    return files, cut


def unlabelled_cutter(workspace: Workspace, used: Collection[str]) -> tuple[dict[str, list[File]], Cutter]:
    """Return the files of data.unlabelled by pattern, and their cutter: whole, or windows of rows.every.

    Args:
        used: paths of the labelled recordings and of the test, which are left out.

    Raises:
        KagglekitError: as `list_files`.
    """
    sets, seen, known = dict[str, list[File]](), set(used), set[str]()
    for pattern in workspace.config.data.unlabelled:
        files = list_files(workspace, pattern)
        known.update(file.path for file in files if file.path in used)
        sets[pattern] = [file for file in files if file.path not in seen]
        seen.update(file.path for file in sets[pattern])
    if known:
        console.note(f"data.unlabelled: {plural(len(known), 'recording')} left out, labelled or the test's")
    paths = [file.path for files in sets.values() for file in files]
    shorts = dict(zip(paths, clip_ids(paths, 2), strict=True))

    def cut(path: str, length: float) -> list[Cut]:
        times = row_times(path, length, workspace.config.rows.every)
        return [Cut(shorts[path] + part_of(*time), *time) for time in times]

    return sets, cut


def row_times(path: str, length: float, every: float | None) -> list[tuple[float | None, float | None]]:
    """Return the start and end of each row of a recording; of the whole one, Nones.

    Raises:
        ConfigError: there are more than MOST_ROWS.
    """
    if every is None:
        return [(None, None)]
    count = max(math.ceil(length / every - SHORTEST_ROW), 1)
    if count > MOST_ROWS:
        raise ConfigError(
            f"rows.every {every:g}: {count:,} rows of {path} ({length:,.1f} s), more than {MOST_ROWS:,}",
            hint="rows.every is in seconds; BirdCLEF has 5",
        )
    return [(number * every, (number + 1) * every) for number in range(count)]


def _row_id(rows: Rows, short: str, path: str, number: int, start: float | None, end: float | None) -> str:
    name, place = PurePosixPath(path).name, PurePosixPath(path)
    if rows.id == "{name}":
        return short
    times = {"start": _whole(start), "end": _whole(end)}
    return rows.id.format(stem=place.stem, name=name, folder=place.parent.name, number=number, **times)


def _whole(time: float | None) -> str:
    return "" if time is None else f"{time:g}"


def _table_cutter(workspace: Workspace, rows: Rows, paths: list[str]) -> Cutter:
    """Return the cutter of the rows that a table of the test names."""
    update = {"table": rows.table, "file": rows.file, "split": None}  # by which `paths` are chosen
    test = workspace.config.data.test.model_copy(update=update)
    table, path = rows_of(workspace, test, paths, "rows")
    ids = _required(table, str(rows.id_column), rows)
    if ids.null_count():
        raise ConfigError(f"rows: {rows.table!r} has a row without an id", hint="fill rows.id_column")
    end: Sequence[float | None] = (
        [None] * len(ids) if rows.end is None else _ends(_required(table, rows.end, rows), rows)
    )
    cuts: dict[str, list[Cut]] = {}
    for one, name, last in zip(path, ids, end, strict=True):
        start = None if last is None else max(last - (rows.every or 0.0), 0.0)
        cuts.setdefault(one, []).append(Cut(str(name), start, last))
    if rows.end is not None:
        _check_whole(cuts, rows)
    return lambda path, _: sorted(cuts.get(path, []), key=lambda cut: cut.start or 0.0)


def _check_whole(cuts: Mapping[str, Sequence[Cut]], rows: Rows) -> None:
    """Refuse a row without an end beside others of its recording.

    A recording may be one row, and have no end, as at the third site of birdsong-2020.
    """
    for recording, several in cuts.items():
        whole = [cut.clip_id for cut in several if cut.start is None]
        if whole and len(several) > 1:
            raise ConfigError(
                f"rows: {rows.table!r} has no {rows.end} for the row '{whole[0]}', and other rows of "
                f"{recording}",
                hint="fill it; only a recording that is one row may have none",
            )


def _ends(column: pl.Series, rows: Rows) -> list[float | None]:
    try:
        return [_end(cell) for cell in column]
    except ValueError as error:
        raise ConfigError(
            f"rows: {rows.table!r}, column {rows.end!r}: {error}",
            hint="rows.end names the column with the row's end in seconds",
        ) from error


def _end(cell: str | None) -> float | None:
    end = seconds(cell)
    if end is not None and end <= 0:  # where starts are taken for ends, every row would be a window too early
        raise ValueError(f"a row ends at {end:g} s; are these the rows' starts?")
    return end


def _required(table: pl.DataFrame, column: str, rows: Rows) -> pl.Series:
    if column not in table.columns:
        raise ConfigError(
            f"rows: {rows.table!r} has no column {column!r}", hint=", ".join(table.columns[:12])
        )
    return table[column]


def span(cut: Cut, audio: Audio) -> tuple[int, int | None]:
    """Return the first sample of a cut and the one behind its last; (0, None) for a whole recording.

    A part shorter than a clip comes with its surroundings, so the first sample may be negative.
    """
    if cut.start is None or cut.end is None:
        return 0, None
    first, last = round(cut.start * audio.sample_rate), round(cut.end * audio.sample_rate)
    lacking = max(audio.samples - (last - first), 0)
    return first - lacking // 2, last + lacking - lacking // 2


def segment(pcm: Int16, cut: Cut, audio: Audio) -> Int16:
    """Return the samples of a cut: (samples,), empty where the cut begins behind the recording.

    Args:
        pcm: (samples,), the whole recording at audio.sample_rate.
    """
    first, last = span(cut, audio)
    if cut.start is not None and cut.start * audio.sample_rate >= len(pcm):
        return pcm[:0]
    if first >= 0:
        return pcm[first:last]
    return np.concatenate([np.zeros(-first, np.int16), pcm[:last]])
