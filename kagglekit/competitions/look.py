"""Look at a competition's files, for a draft: names, small tables, and the headers of a few recordings."""

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import polars as pl

from kagglekit.data.sound_file import read_sound
from kagglekit.errors import ArchiveError, ConfigError, KagglekitError
from kagglekit.files import archive, tables
from kagglekit.files.leftovers import temporary_folder
from kagglekit.files.patterns import is_archive, is_audio, is_junk, without_ending
from kagglekit.hosts.base import HostFile
from kagglekit.terminal import console

TABLES = (".csv", ".tsv", ".txt", ".parquet")
SPREADSHEETS = (".xlsx", ".xls", ".xlsm", ".ods", ".numbers")
MAX_TABLE = 50 * 10**6
MAX_ARCHIVE = 300 * 10**6
"""Bytes up to which an archive is downloaded to look into it; on this machine, any is looked into."""
MAX_RECORDING = 30 * 10**6
LISTENED = 12
"""Recordings of a folder or an archive whose headers are read."""
DOWNLOADED = 4
"""The same of loose recordings that have to be downloaded one by one."""
MOST_FILES = 60_000
"""Files of the host's list that are looked at; a page has 200."""


class Heard(NamedTuple):
    """Sample rate in Hz and length in seconds of a recording."""

    rate: int
    seconds: float


class Facts:
    """What a competition shows."""

    def __init__(self, slug: str, title: str = "", metric: str = "", notebook: bool = False) -> None:
        self.slug, self.title, self.metric, self.notebook = slug, title, metric, notebook
        self.hides_test = False
        """Whether no test recordings are shown, and the host was not asked if it takes notebooks alone."""
        self.local: dict[str, str] | None = None
        """Folder and solution of a local host, as competition.yaml names them."""
        self.audio: list[str] = []
        """Paths of the recordings, as competition.yaml writes them."""
        self.others: list[str] = []
        """Paths of all other files."""
        self.tables: dict[str, pl.DataFrame] = {}
        self.ragged: dict[str, pl.DataFrame] = {}
        """Tables of an id and a list, whose rows have any number of cells."""
        self.example: pl.DataFrame | None = None
        """The example of a submission on the page about evaluation."""
        self.headless: set[str] = set()
        """Tables without a header."""
        self.lists: dict[str, list[str]] = {}
        """JSON lists of words."""
        self.heard: dict[str, Heard] = {}
        self.unread: dict[str, int | None] = {}
        """Archives that were too large to look into, and their bytes."""
        self.solution: pl.DataFrame | None = None

    def table(self, path: str, data: bytes) -> None:
        """Read a table, where it is one."""
        if path.endswith(".json"):
            try:
                value = json.loads(data)
            except ValueError:
                return
            if isinstance(value, list) and value and all(isinstance(one, str) for one in value):
                self.lists[path] = value
            return
        try:
            frame = tables.read_table(data, path, hint="").frame
            if all(is_number(name) for name in frame.columns):
                frame = tables.read_table(data, path, hint="", header=False).frame
                self.headless.add(path)
        except KagglekitError:
            try:
                frame = tables.read_table(data, path, hint="", header=False).frame
            except KagglekitError:
                self._ragged(path, data)
                return
            self.headless.add(path)
        if frame.width > 1:
            self.tables[path] = frame

    def _ragged(self, path: str, data: bytes) -> None:
        """Read a table whose rows have any number of cells; of notes, no cell means a file."""
        try:
            self.ragged[path] = tables.read_table(data, path, hint="", ragged=True).frame
        except KagglekitError:  # pictures and the like
            return

    def listen(self, path: str, data: bytes) -> None:
        """Read rate and length of a recording."""
        sound = read_sound(data)
        if sound.rate and len(sound.waveform):
            self.heard[path] = Heard(sound.rate, len(sound.waveform) / sound.rate)

    def look_at_parquet(self, pattern: str, path: Path) -> None:
        """Read a Parquet table, or a part of one, and the recordings in its cells, if it has any.

        Args:
            pattern: of all parts of the table, such as train-*.parquet.
        """
        if pattern not in self.tables and pattern not in self.unread:
            self.table(pattern, path.read_bytes())
        try:
            members = archive.listing(path)
            chosen = {member.name for member in members[:LISTENED]}
            archive.stream(
                path,
                lambda member, data: self.listen(f"{pattern}/{member.name}", data),
                lambda _: () if any(heard.startswith(f"{pattern}/") for heard in self.heard) else chosen,
            )
        except ArchiveError:  # a table of text
            return
        self.audio += [f"{pattern}/{member.name}" for member in members]

    def look_into(self, name: str, path: Path, depth: int = 1) -> None:
        """Read what an archive holds.

        Args:
            name: the archive's own path in competition.yaml.
            path: where it lies.
            depth: how deep archives inside it are looked into.
        """
        try:
            members = [member for member in archive.listing(path) if not is_junk(member.name)]
            small = {m.name for m in members if is_table(m.name) and m.size <= MAX_TABLE}
            audio = [m.name for m in members if is_audio(m.name)]
            inner = [m.name for m in members if is_archive(m.name)]
            plain = without_ending(name)
            alone = (plain if is_table(plain) else name) if len(members) == len(small) == 1 else None
            chosen = small | set(spread(audio) if name.lower().endswith(".zip") else audio[:LISTENED])

            def add(member: archive.Member, data: bytes) -> None:
                if member.name in small:
                    self.table(alone or f"{name}/{member.name}", data)
                else:
                    self.listen(f"{name}/{member.name}", data)

            archive.stream(path, add, lambda _: chosen)
            self.audio += [f"{name}/{one}" for one in audio]
            self.others += [f"{name}/{m.name}" for m in members if not is_audio(m.name)]
            for one in inner if depth else ():
                with temporary_folder() as folder:
                    archive.copy_member(path, one, folder / "inner")
                    self.look_into(f"{name}/{one}", folder / "inner", depth - 1)
        except ArchiveError as error:
            console.note(f"{name} was not looked into: {error}")
            self.unread[name] = path.stat().st_size


def is_table(name: str) -> bool:
    """Tell whether a file's name is that of a table or a JSON list."""
    return name.lower().endswith((*TABLES, ".json")) and "readme" not in name.lower()


def parts_patterns(names: Sequence[str]) -> dict[str, str]:
    """Return the pattern of all parts of each Parquet table: train-*.parquet for train-00000-of-00002."""
    patterns = {name: re.sub(r"\d+(-of-\d+)?(?=\.parquet$)", "*", name) for name in names}
    uses = Counter(patterns.values())
    return {name: p if uses[p] > 1 or "-of-" in name else name for name, p in patterns.items()}


def is_number(text: str | None) -> bool:
    """Tell whether a cell is a number."""
    try:
        float(text or "")
    except ValueError:
        return False
    return True


def spread(names: Sequence[str], most: int = LISTENED) -> list[str]:
    """Return at most so many names, evenly spread."""
    return [names[i * len(names) // most] for i in range(most)] if len(names) > most else list(names)


def look(
    facts: Facts, files: Sequence[HostFile], get: Callable[[list[HostFile]], list[Path]], own: bool
) -> None:
    """Fill in what the files show.

    Args:
        files: the host's list.
        get: returns where files lie, downloaded if need be.
        own: the files lie on this machine already, so that none is too large.
    """
    files = [file for file in files if not is_junk(file.name)]
    facts.audio += [file.name for file in files if is_audio(file.name)]
    rest = [file for file in files if not is_audio(file.name)]
    facts.others += [file.name for file in rest]

    def fits(file: HostFile, most: int) -> bool:
        return own or (file.size is not None and file.size <= most)

    parquet = [f for f in rest if f.name.lower().endswith(".parquet")]
    patterns = parts_patterns([file.name for file in parquet])
    facts.unread.update((patterns[f.name], f.size) for f in parquet if not fits(f, MAX_ARCHIVE))
    for file in parquet:
        if patterns[file.name] not in facts.unread:
            facts.look_at_parquet(patterns[file.name], get([file])[0])
    rest = [file for file in rest if file not in parquet]
    small = [f for f in rest if is_table(f.name) and (f.size or 0) <= MAX_TABLE]
    for file, path in zip(small, get(small), strict=True):
        facts.table(file.name, path.read_bytes())
    for file in rest:
        if file.name.lower().endswith(SPREADSHEETS):
            console.note(
                f"{file.name} is a spreadsheet, which is not read: save it as CSV, then init --force"
            )
    packed = [f for f in rest if is_archive(f.name)]
    inside = [f for f in packed if fits(f, MAX_ARCHIVE)]
    facts.unread.update((f.name, f.size) for f in packed if not fits(f, MAX_ARCHIVE))
    for file in inside:
        try:
            (path,) = get([file])
        except ArchiveError as error:
            console.note(f"{file.name} was not looked into: {error}")
            facts.unread[file.name] = file.size
        else:
            facts.look_into(file.name, path)
    by_top: dict[str, list[HostFile]] = {}
    for file in files:
        if is_audio(file.name) and fits(file, MAX_RECORDING):
            by_top.setdefault(file.name.partition("/")[0], []).append(file)
    most = LISTENED if own else DOWNLOADED
    chosen = {name for some in by_top.values() for name in spread([one.name for one in some], most)}
    picked = [one for some in by_top.values() for one in some if one.name in chosen]
    for file, path in zip(picked, get(picked), strict=True):
        facts.listen(file.name, path.read_bytes())
    if not facts.audio and not facts.unread:
        raise ConfigError(
            f"{facts.slug} shows no recordings among its {len(files):,} files",
            hint="audio in tables or in other formats: start from one that is like it, kagglekit init --list",
        )
