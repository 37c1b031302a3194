"""Files as the host mounts them: those that it shows, and a large synthetic test."""

import io
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np
import soundfile

from kagglekit.config import Config
from kagglekit.data.expected_rows import sample_table
from kagglekit.errors import KagglekitError
from kagglekit.files.lookup import File
from kagglekit.files.patterns import AUDIO_SUFFIXES, parse, without_ending
from kagglekit.files.resolve import read_tables, stream
from kagglekit.files.workspace import Workspace
from kagglekit.submission.table import to_csv

DISTINCT = 4  # recordings that a synthetic test repeats under many names
FORMATS = {
    ".ogg": ("OGG", "VORBIS"),
    ".oga": ("OGG", "VORBIS"),
    ".flac": ("FLAC", None),
    ".mp3": ("MP3", None),
}
"""Formats of synthetic recordings; others are wav, which is read by its content."""
MOST_VISIBLE = 200  # recordings of the visible test that are rehearsed


def mount_visible(workspace: Workspace, folder: Path) -> int:
    """Write the sample, and the tables and recordings of the test, as the host shows them.

    Archives become folders without their ending, as Kaggle mounts them.

    Returns:
        How many recordings there are; at most MOST_VISIBLE, as more would not show more.
    """
    mount_sample(workspace, folder)
    config = workspace.config
    for table in filter(None, (config.data.test.table, config.rows.table, _by_way_of(config))):
        read_tables(workspace, table, lambda file, data: _write(folder, file, data))
    written: list[str] = []

    def choose(files: list[File]) -> list[str]:
        paths = [file.path for file in files]
        # every row of a table needs its recording
        most = len(paths) if config.rows.table or config.competition.delivery == "csv" else MOST_VISIBLE
        return paths[:most]

    def add(file: File, data: bytes) -> None:
        _write(folder, file, data)
        written.append(file.path)

    stream(workspace, config.data.test.files, add, choose)
    return len(written)


def mount_sample(workspace: Workspace, folder: Path) -> None:
    """Write the sample submission alone, where the host offers one."""
    name, table = workspace.config.data.sample, sample_table(workspace)
    if name is not None and table is not None and name.lower().endswith(".csv"):
        _write(folder, File(name, 0), to_csv(table.frame))
    folder.mkdir(parents=True, exist_ok=True)


def mount_synthetic(workspace: Workspace, folder: Path, count: int, seconds: float) -> None:
    """Write a test of many synthetic recordings: noise with tones, as long as those of the hidden test.

    Raises:
        KagglekitError: a table names the rows of the test, which cannot be made up.
    """
    config = workspace.config
    if config.rows.table or config.data.test.table:
        raise KagglekitError(
            "a large test cannot be made up: a table names its rows",
            hint="rehearse with the recordings that the host shows: --recordings 0",
        )
    mount_sample(workspace, folder)
    names = _names(config, count)
    suffix = PurePosixPath(names[0]).suffix.lower()
    for number, content in enumerate(_recordings(config.audio.sample_rate, seconds, suffix)):
        first: Path | None = None
        for name in names[number::DISTINCT]:
            if first is None:
                first = _place(folder, name)
                _write(folder, File(name, len(content)), content)
            else:
                _link(first, _place(folder, name))


def _names(config: Config, count: int) -> list[str]:
    """Return names of recordings that the test's pattern matches."""
    *folders, last = [part for part in config.data.test.files.split("/") if part != "**"]
    if "*" not in last:
        raise KagglekitError(
            f"data.test.files names one file, {last}", hint="a notebook needs a pattern such as test/*.ogg"
        )
    if PurePosixPath(last).suffix.lower() not in AUDIO_SUFFIXES:
        last = f"{last}.ogg" if last == "*" else last
    above = [re.sub(r"\*+|\?", "a", folder) for folder in folders]
    width = len(str(count))
    before, _, behind = re.sub(r"\?", "a", last).partition("*")
    behind = behind.replace("*", "")
    return ["/".join([*above, f"{before}rehearsal_{number:0{width}}{behind}"]) for number in range(count)]


def _recordings(rate: int, seconds: float, suffix: str) -> Iterator[bytes]:
    """Yield DISTINCT recordings in a format."""
    kind, subtype = FORMATS.get(suffix, ("WAV", "PCM_16"))
    time = np.arange(round(rate * seconds)) / rate
    for number in range(DISTINCT):
        rng = np.random.default_rng(number)
        calls = np.sin(2 * np.pi * (400 + 300 * number) * time * (1 + 0.1 * np.sin(2 * np.pi * time)))
        waveform = 0.02 * rng.standard_normal(len(time)) + 0.1 * calls * (np.sin(time) > 0.5)
        buffer = io.BytesIO()
        with soundfile.SoundFile(buffer, "w", rate, 1, subtype, format=kind) as file:
            for block in np.array_split(
                waveform, max(len(waveform) // 2**18, 1)
            ):  # libvorbis: deep recursion
                file.write(block)
        yield buffer.getvalue()


def _by_way_of(config: Config) -> str | None:
    join = config.data.test.by_way_of
    return None if join is None else join.table


def _place(folder: Path, path: str) -> Path:
    """Return where a path of competition.yaml is mounted: archives as folders without their ending."""
    *archives, rest = parse(path).levels
    return folder.joinpath(*map(without_ending, archives), rest)


def _write(folder: Path, file: File, data: bytes) -> None:
    place = _place(folder, file.path)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(data)


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:  # a file system without links
        shutil.copyfile(source, target)
