"""Decode one of the host's archives to a store and a table of facts, in one pass and without unpacking it."""

import json
import threading
from collections import Counter
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple, get_type_hints

import polars as pl

from kagglekit.config import Audio, Data, FromName
from kagglekit.data.decode import FLAGS, decode, decode_whole, problem_of, sort_flags
from kagglekit.data.label_table import add_labels
from kagglekit.data.store import StoreWriter
from kagglekit.data.unread import report_unread
from kagglekit.errors import ArchiveError, MissingError
from kagglekit.files import archive, parquet
from kagglekit.files.atomic import building
from kagglekit.terminal import console, progress

VERSION = 3  # part of the cache key: raise it when the output changes

STORE, NOISE = "store", "noise"
FACTS_FILE = "facts.parquet"
LABEL_TABLE_FILE = "label_table.csv"
LIST_FILES = {"validation_list": "validation_list.txt", "testing_list": "testing_list.txt"}
_COUNTS_FILE = "counts.json"
_UNUSABLE = ("empty", "unreadable")


@dataclass(frozen=True)
class Ingested:
    """Counts of an archive's content."""

    clips: int
    noise: int
    """Number of noise recordings."""
    problems: dict[str, int]
    """Number of clips for each flag that occurs (kagglekit.data.decode), the most serious first."""


class ArchiveJob(NamedTuple):
    """An archive to ingest."""

    archive: Path
    target: Path
    """The folder to make."""
    split: Literal["train", "test"]
    key: str
    """Hash of data, audio, `VERSION` and the archive."""


class _Fact(NamedTuple):
    """A row of facts.parquet."""

    clip_id: str
    path: str
    word: str | None
    speaker: str | None
    row: int
    samples: int
    rms: float
    peak: float
    sha1: str
    problem: str
    flags: str
    rate: int
    message: str
    windows: int
    """Rows of the store; a column with audio.longer: windows alone."""


_TYPES = {str: pl.String, str | None: pl.String, int: pl.Int64, float: pl.Float64}
_SCHEMA = {name: _TYPES[kind] for name, kind in get_type_hints(_Fact).items()}


def ingest(job: ArchiveJob, data: Data, audio: Audio, *, stop: threading.Event | None = None) -> Ingested:
    """Make the folder `job.target`, unless it exists with `job.key`, and return its counts.

    The folder holds:

        store/         the clips in archive order (kagglekit.data.store)
        noise/         whole noise recordings by file name (train)
        facts.parquet  a row for each clip: clip_id (train: <folder>/<file>, test: the file name), path,
                       word and speaker (null in test), row in store/, samples, rms, peak, sha1, problem
                       and flags (kagglekit.data.decode, or "duplicate": an earlier train clip has the same
                       content; flags joined by commas), the file's own rate in Hz, and the decoder's
                       message; with audio.longer: windows, also the number of rows in store/
        validation_list.txt, testing_list.txt, label_table.csv   if the archive has them (train)

    Args:
        stop: lets another thread interrupt the work.

    Raises:
        ArchiveError: the archive is damaged or unsafe, or has no matching clip, or two clips of one id.
        ConfigError: the label table is missing or lacks a column.
    """
    with building(job.target, job.key) as folder:
        if folder is not None:
            return _Ingest(job, data, audio, folder, stop or threading.Event()).run()
    counts = job.target / _COUNTS_FILE
    try:
        ingested = Ingested(**json.loads(counts.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError) as error:
        raise MissingError(
            f"{counts} cannot be read: {error}",
            hint=f"remove the folder {job.target} and run the same command again",
        ) from error
    if "unreadable" in ingested.problems:
        path = job.target / FACTS_FILE
        report_unread(job.archive.name, parquet.read(path, f"remove the folder {job.target} and run again"))
    return ingested


def ingest_all(jobs: Sequence[ArchiveJob], data: Data, audio: Audio) -> list[Ingested]:
    """Run `ingest` in a thread for each archive; decompression and hashing release the GIL.

    Raises:
        ArchiveError, ConfigError: as `ingest`, after the other archives are done.
    """
    stop = threading.Event()
    with ThreadPoolExecutor(max_workers=max(1, len(jobs))) as pool:
        futures = [pool.submit(ingest, job, data, audio, stop=stop) for job in jobs]
        try:
            return [future.result() for future in futures]
        except KeyboardInterrupt:
            stop.set()
            raise


def _inside(path: str) -> str:
    """Return a path without its archive."""
    return path.partition("/")[2]


class _Stopped(Exception):
    """Another thread has interrupted this one."""


class _Ingest:
    """The state of one pass through an archive."""

    def __init__(
        self, job: ArchiveJob, data: Data, audio: Audio, folder: Path, stop: threading.Event
    ) -> None:
        self.job = job
        self.data = data
        self.audio = audio
        self.folder = folder
        self.stop = stop
        self.train = job.split == "train"
        self.set = data.train[0]
        self.clip_pattern = _inside(self.set.files if self.train else data.test.files)
        self.noise_pattern = _inside(data.noise) if self.train and data.noise else None
        self.speaker = self.set.group if self.train and isinstance(self.set.group, FromName) else None
        self.files = self._files_to_keep() if self.train else {}
        self.facts: list[_Fact] = []
        self.rows = 0
        self.noise: set[str] = set()
        self.ids: set[str] = set()
        self.contents: set[str] = set()

    def run(self) -> Ingested:
        with ExitStack() as stack:
            self.store = stack.enter_context(StoreWriter(self.folder / STORE, self.audio.samples))
            if self.train:
                self.noise_store = stack.enter_context(StoreWriter(self.folder / NOISE, None))

            def choose(members: list[archive.Member]) -> Collection[str]:
                self.kinds = self._kinds(members)
                bar = progress.bar(f"prepare {self.job.archive.name}", total=len(self.kinds), unit="clips")
                self.advance = stack.enter_context(bar)
                return self.kinds

            archive.stream(self.job.archive, self._add_member, choose)
        return self._finish()

    def _files_to_keep(self) -> dict[str, str]:
        """Return the archive's text files to keep: path in the archive to name in the folder."""
        files = {getattr(self.data, field): name for field, name in LIST_FILES.items()}
        if self.set.table is not None:
            files[self.set.table] = LABEL_TABLE_FILE
        return {_inside(path): name for path, name in files.items() if path is not None}

    def _kinds(self, members: list[archive.Member]) -> dict[str, Literal["file", "noise", "clip"]]:
        """Return the kind of every member to read."""
        kinds: dict[str, Literal["file", "noise", "clip"]] = {}
        for name, _ in members:
            path = PurePosixPath(name)
            if name in self.files:
                kinds[name] = "file"
            elif self.noise_pattern is not None and path.match(self.noise_pattern):
                kinds[name] = "noise"
            elif path.match(self.clip_pattern):
                kinds[name] = "clip"
        if "clip" not in kinds.values():
            examples = ", ".join(repr(m.name) for m in members[:3]) or "nothing"
            raise ArchiveError(
                f"{self.job.archive.name}: no member matches {self.clip_pattern!r}; it contains {examples}",
                hint=f"correct the files of data.{self.job.split} in competition.yaml",
            )
        return kinds

    def _add_member(self, member: archive.Member, content: bytes) -> None:
        if self.stop.is_set():
            raise _Stopped
        kind = self.kinds[member.name]
        if kind == "file":
            (self.folder / self.files[member.name]).write_bytes(content)
        elif kind == "noise":
            self._add_noise(PurePosixPath(member.name).name, content)
        else:
            self._add_clip(PurePosixPath(member.name), content)
        self.advance(1)

    def _add_noise(self, file_name: str, content: bytes) -> None:
        waveform = decode_whole(content, self.audio)
        if len(waveform):
            self._add_id(self.noise, file_name)
            self.noise_store.add(file_name, waveform)
        else:
            console.note(f"skipping {file_name} in {self.job.archive.name}: its audio cannot be read")

    def _add_clip(self, path: PurePosixPath, content: bytes) -> None:
        clip_id = f"{path.parent.name}/{path.name}" if self.train else path.name
        self._add_id(self.ids, clip_id)
        clip = decode(content, self.audio)
        flags = clip.flags
        if self.train:
            if clip.sha1 in self.contents and clip.problem not in _UNUSABLE:
                flags = sort_flags((*flags, "duplicate"))
            self.contents.add(clip.sha1)
        word = path.parent.name if self.train and self.set.table is None else None
        windows = clip.rows if clip.rows.ndim == 2 else clip.rows[None]
        self.facts.append(
            _Fact(
                clip_id=clip_id,
                path=str(path),
                word=word,
                speaker=self.speaker(path.name) if self.speaker is not None else None,
                row=self.rows,
                samples=clip.samples,
                rms=clip.rms,
                peak=clip.peak,
                sha1=clip.sha1,
                problem=problem_of(flags),
                flags=",".join(flags),
                rate=clip.rate,
                message=clip.message,
                windows=len(windows),
            )
        )
        for window in windows:
            self.store.add(clip_id, window)
        self.rows += len(windows)

    def _add_id(self, ids: set[str], clip_id: str) -> None:
        if clip_id in ids:
            raise ArchiveError(
                f"{self.job.archive.name}: two files are called {clip_id!r}",
                hint=f"narrow the files of data.{self.job.split}, so that they match only one",
            )
        ids.add(clip_id)

    def _finish(self) -> Ingested:
        facts = pl.DataFrame(self.facts, schema=_SCHEMA, orient="row")
        report_unread(self.job.archive.name, facts)
        if self.audio.longer == "cut":
            facts = facts.drop("windows")
        if self.train and self.set.table is not None:
            facts = add_labels(facts, self.folder / LABEL_TABLE_FILE, self.set)
        facts.write_parquet(self.folder / FACTS_FILE)
        counts = Counter(flag for fact in self.facts for flag in fact.flags.split(",") if flag)
        flags = {flag: counts[flag] for flag in FLAGS if counts[flag]}
        ingested = Ingested(len(self.facts), len(self.noise), flags)
        (self.folder / _COUNTS_FILE).write_text(json.dumps(asdict(ingested)), encoding="utf-8")
        return ingested
