"""Decode the recordings of a split to a store and a table of facts, in one pass and without unpacking."""

import threading
from collections import Counter
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple, get_type_hints

import polars as pl

from kagglekit.config import Audio
from kagglekit.data import with_ffmpeg
from kagglekit.data.annotations import prefix
from kagglekit.data.audit import Outside, outside, say_outside
from kagglekit.data.clip_writers import DecodedFile, WrittenClip, clip_writer, read_decoded
from kagglekit.data.cuts import Cutter
from kagglekit.data.decode import FLAGS, problem_of, sort_flags
from kagglekit.data.samples import Int16
from kagglekit.data.source_file import SourceFile
from kagglekit.data.store import StoreWriter
from kagglekit.data.unread import report_unread
from kagglekit.errors import ConfigError, MissingError
from kagglekit.files import parquet
from kagglekit.files.atomic import building, done_key, read_json, write_json
from kagglekit.files.blocks import damaged
from kagglekit.files.json_shape import shaped
from kagglekit.files.lookup import File
from kagglekit.files.resolve import stream
from kagglekit.files.workspace import Workspace
from kagglekit.parallel.in_order import InOrder
from kagglekit.parallel.waiting import gather
from kagglekit.terminal import console, progress

VERSION = 7  # part of the cache key: raise it when the output changes

STORE, NOISE = "store", "noise"
FACTS_FILE = "facts.parquet"
_COUNTS_FILE = "counts.json"
_UNUSABLE = ("empty", "unreadable")


@dataclass(frozen=True)
class Ingested:
    """Counts of a split's content."""

    clips: int
    noise: int
    """Number of noise recordings."""
    problems: dict[str, int]
    """Number of clips for each flag that occurs (kagglekit.data.decode), the most serious first."""
    needs_av: int = 0
    """Number of unreadable files that kagglekit[av], which was not installed, may read."""


class FileSet(NamedTuple):
    """Files of one pattern."""

    pattern: str
    root: Path | None
    """The folder of your own that holds them; None: the competition's places."""
    files: Sequence[File]


class Job(NamedTuple):
    """The recordings of a split."""

    split: Literal["train", "test", "unlabelled"]
    sources: Sequence[FileSet]
    cutter: Cutter
    target: Path
    """The folder to make."""
    key: str
    """Hash of the files, their cuts, audio and `VERSION`."""
    noise: FileSet | None = None
    false: frozenset[str] = frozenset()
    """SHA-1 of recordings whose headers are known to be wrong (kagglekit.data.proven)."""


class _Fact(NamedTuple):
    """A row of facts.parquet."""

    clip_id: str
    path: str
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


_TYPES = {str: pl.String, int: pl.Int64, float: pl.Float64}
_SCHEMA = {name: _TYPES[kind] for name, kind in get_type_hints(_Fact).items()}


def ingest(workspace: Workspace, job: Job, *, stop: threading.Event | None = None) -> Ingested:
    """Make the folder `job.target`, unless it exists with `job.key`, and return its counts.

    The folder holds:

        store/         the clips in the order of the files (kagglekit.data.store)
        noise/         whole noise recordings by file name (train)
        facts.parquet  a row for each clip: clip_id, path, row in store/, samples, rms, peak, sha1, problem
                       and flags (kagglekit.data.decode, or "duplicate": an earlier train clip has the same
                       content; flags joined by commas), the file's own rate in Hz, and the decoder's
                       message; with audio.longer: windows, also the number of rows in store/

    Args:
        stop: lets another thread interrupt the work.

    Raises:
        KagglekitError: a file is damaged or unsafe, or no file can be read as audio.
        ConfigError: two clips have the same id.
    """
    with building(job.target, job.key) as folder:
        if folder is not None:
            return _Ingest(workspace, job, folder, stop or threading.Event()).run()
    ingested = read_counts(job.target)
    if not {"unreadable", "empty"}.isdisjoint(ingested.problems):
        report_unread(job.split, read_facts(job.target), _most_unreadable(workspace, job))
    return ingested


def _most_unreadable(workspace: Workspace, job: Job) -> float:
    return workspace.config.data.test.unreadable if job.split == "test" else 1.0


def read_counts(folder: Path) -> Ingested:
    """Return the counts of a folder; raise a DamagedCacheError if they cannot be read: it is made again."""
    counts = folder / _COUNTS_FILE
    try:
        return shaped(Ingested, read_json(counts))
    except (OSError, ValueError) as error:
        raise damaged(folder, f"{counts} cannot be read: {error}") from error


def read_facts(folder: Path) -> pl.DataFrame:
    """Return facts.parquet of a folder; raise a DamagedCacheError as `read_counts` does."""
    try:
        return parquet.read(folder / FACTS_FILE, "")
    except MissingError as error:
        raise damaged(folder, str(error)) from error


def is_outdated(folder: Path) -> bool:
    """Tell whether files in a folder were unreadable without PyAV, which is installed now."""
    if not with_ffmpeg.is_installed() or done_key(folder) is None or not (folder / _COUNTS_FILE).is_file():
        return False
    return read_counts(folder).needs_av > 0


def ingest_all(workspace: Workspace, jobs: Sequence[Job]) -> list[Ingested]:
    """Run `ingest` in a thread for each split; decompression, decoding and hashing release the GIL.

    Raises:
        KagglekitError: as `ingest`, after the other splits are done.
    """
    stop = threading.Event()
    with ThreadPoolExecutor(max_workers=max(1, len(jobs))) as pool:
        futures = [pool.submit(ingest, workspace, job, stop=stop) for job in jobs]
        try:
            return gather(futures)
        except KeyboardInterrupt:
            stop.set()
            raise


_Read = tuple[str, DecodedFile | SourceFile]
"""A file's path, and the file."""


class _Stopped(Exception):
    """Another thread has interrupted this one."""


class _Ingest:
    """The state of one pass through a split's files."""

    def __init__(self, workspace: Workspace, job: Job, folder: Path, stop: threading.Event) -> None:
        self.workspace, self.job, self.folder, self.stop = workspace, job, folder, stop
        self.audio: Audio = workspace.config.audio
        self.facts: list[_Fact] = []
        self.rows = 0
        self.noise = {file.path for file in job.noise.files} if job.noise else set[str]()
        self.noise_names: set[str] = set()
        self.ids: set[str] = set()
        self.contents: set[str] = set()
        self.outside: list[Outside] = []

    def run(self) -> Ingested:
        sources = [*self.job.sources, *([self.job.noise] if self.job.noise else [])]
        wanted = {prefix(source.root) + file.path for source in sources for file in source.files}
        with ExitStack() as stack:
            self.store = stack.enter_context(clip_writer(self.folder / STORE, self.audio, self.job.false))
            if self.job.split == "train":
                self.noise_store = stack.enter_context(StoreWriter(self.folder / NOISE, None))
            bar = progress.bar(f"prepare {self.job.split}", total=len(wanted), unit="files")
            self.advance = stack.enter_context(bar)
            files = stack.enter_context(InOrder(self._read, self._add))
            for root in dict.fromkeys(source.root for source in sources):
                here = [source for source in sources if source.root == root]
                self._stream(root, list(dict.fromkeys(source.pattern for source in here)), here, files)
        return self._finish()

    def _stream(
        self,
        root: Path | None,
        patterns: list[str],
        sources: Sequence[FileSet],
        files: InOrder[tuple[str, bytes], _Read],
    ) -> None:
        chosen: Collection[str] = {file.path for source in sources for file in source.files}

        def put(file: File, content: bytes) -> None:
            if self.stop.is_set():
                raise _Stopped
            files.put((prefix(root) + file.path, content), self.store.weight * len(content))

        stream(self.workspace, patterns, put, chosen, root)

    def _read(self, item: tuple[str, bytes]) -> _Read:
        """Read a file; several threads do so."""
        path, content = item
        is_noise = path in self.noise
        return path, read_decoded(content, self.audio) if is_noise else self.store.read(content)

    def _add(self, read: _Read) -> None:
        path, file = read
        if path in self.noise:
            assert isinstance(file, DecodedFile)
            self._add_noise(path, file.pcm)
        else:
            seconds = file.samples / self.audio.sample_rate
            cuts = self.job.cutter(path, seconds)
            self.outside += outside(path, cuts, seconds)
            for clip in self.store.add(path, file, cuts):
                self._add_clip(path, clip)
        self.advance(1)

    def _add_noise(self, path: str, pcm: Int16) -> None:
        name = PurePosixPath(path).name
        if not len(pcm):
            console.note(f"skipping the noise {path}: its audio cannot be read")
        elif name in self.noise_names:
            raise ConfigError(f"data.noise: two files are called {name!r}", hint="narrow the pattern")
        else:
            self.noise_names.add(name)
            self.noise_store.add(name, pcm)

    def _add_clip(self, path: str, written: WrittenClip) -> None:
        cut, clip, windows = written
        if cut.clip_id in self.ids:
            raise ConfigError(
                f"two clips of {self.job.split} have the id {cut.clip_id!r}, the second in {path}",
                hint="make the ids differ: rows.id for the test; narrower files in data.train",
            )
        self.ids.add(cut.clip_id)
        flags = clip.flags
        if self.job.split == "train":
            if clip.sha1 in self.contents and clip.problem not in _UNUSABLE:
                flags = sort_flags((*flags, "duplicate"))
            self.contents.add(clip.sha1)
        self.facts.append(
            _Fact(
                clip_id=cut.clip_id,
                path=path,
                row=self.rows,
                samples=clip.samples,
                rms=clip.rms,
                peak=clip.peak,
                sha1=clip.sha1,
                problem=problem_of(flags),
                flags=",".join(flags),
                rate=clip.rate,
                message=clip.message,
                windows=windows,
            )
        )
        self.rows += windows

    def _finish(self) -> Ingested:
        facts = pl.DataFrame(self.facts, schema=_SCHEMA, orient="row")
        facts = facts.with_columns(pl.col("rms", "peak").fill_nan(None))  # unknown with audio.store: source
        needs_av = report_unread(self.job.split, facts, _most_unreadable(self.workspace, self.job))
        say_outside(self.job.split, self.outside)
        if self.audio.longer == "cut":
            facts = facts.drop("windows")
        parquet.write(facts, self.folder / FACTS_FILE)
        counts = Counter(flag for fact in self.facts for flag in fact.flags.split(",") if flag)
        flags = {flag: counts[flag] for flag in FLAGS if counts[flag]}
        ingested = Ingested(len(self.facts), len(self.noise_names), flags, needs_av)
        write_json(self.folder / _COUNTS_FILE, asdict(ingested))
        return ingested
