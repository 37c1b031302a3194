"""One of the host's archives -> decoded audio and facts, in one pass, without unpacking it to disk."""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple

import polars as pl

from kagglekit.config import Audio, Data, LabelTable
from kagglekit.data import wav
from kagglekit.data.store import StoreWriter
from kagglekit.errors import ArchiveError, ConfigError, MissingError, close_match
from kagglekit.files import archive
from kagglekit.files.atomic import building
from kagglekit.terminal import console, progress

VERSION = 2  # part of the cache key: raise it when the output changes

STORE, NOISE = "store", "noise"
FACTS_FILE = "facts.parquet"
LABEL_TABLE_FILE = "label_table.csv"
LIST_FILES = {"validation_list": "validation_list.txt", "testing_list": "testing_list.txt"}
_COUNTS_FILE = "counts.json"
_UNUSABLE = ("empty", "unreadable")

_SCHEMA = {
    "clip_id": pl.String,
    "path": pl.String,
    "word": pl.String,
    "speaker": pl.String,
    "row": pl.Int64,
    "samples": pl.Int64,
    "rms": pl.Float64,
    "peak": pl.Float64,
    "sha1": pl.String,
    "problem": pl.String,
}
_WINDOWED = {**_SCHEMA, "windows": pl.Int64}  # the facts where audio.longer is windows


@dataclass(frozen=True)
class Ingested:
    """What came out of an archive."""

    clips: int
    noise: int
    """Recordings without speech."""
    problems: dict[str, int]
    """Clips by problem; those without one are not counted."""


class Job(NamedTuple):
    """One archive to ingest; see `ingest`."""

    archive: Path
    target: Path
    split: Literal["train", "test"]
    key: str


class _Fact(NamedTuple):
    """A row of facts.parquet; `_WINDOWED` in the same order."""

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
    windows: int


def ingest(job: Job, data: Data, audio: Audio, *, stop: threading.Event | None = None) -> Ingested:
    """Make the folder `job.target` from `job.archive`, or find it made with `job.key`.

    It then holds:

        store/         the clips (kagglekit.data.store), in archive order
        noise/         recordings without speech, whole, by file name (train)
        facts.parquet  a row for each clip: clip_id, path, word, speaker, row (in store/), samples, rms,
                       peak, sha1, problem (kagglekit.data.wav, or "duplicate": content seen before);
                       where audio.longer is windows, how many a clip has, in store/ from row on
        validation_list.txt, testing_list.txt, label_table.csv   where the archive has them (train)

    A train clip's id is <folder>/<file>, a test clip's its file name; word and speaker are null in test.

    Args:
        job: archive, target folder, split and key (of data, audio, `VERSION` and the archive).
        data: which members are what.
        audio: what a clip becomes.
        stop: set by another thread to give up.

    Raises:
        ArchiveError: damaged, unsafe, without a matching clip, or with two clips of one id.
        ConfigError: the label table is not there or has other columns.
    """
    with building(job.target, job.key) as folder:
        if folder is not None:
            return _Ingest(job, data, audio, folder, stop or threading.Event()).run()
    counts = job.target / _COUNTS_FILE
    try:
        return Ingested(**json.loads(counts.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError) as error:
        raise MissingError(
            f"{counts} cannot be read: {error}",
            hint=f"remove the folder {job.target} and run the same command again",
        ) from error


def ingest_all(jobs: Sequence[Job], data: Data, audio: Audio) -> list[Ingested]:
    """`ingest` several archives at once, in threads: decompression and hashing release the GIL.

    Raises:
        ArchiveError, ConfigError: as `ingest`, once the other archives are done.
    """
    stop = threading.Event()
    with ThreadPoolExecutor(max_workers=max(1, len(jobs))) as pool:
        futures = [pool.submit(ingest, job, data, audio, stop=stop) for job in jobs]
        try:
            return [future.result() for future in futures]
        except KeyboardInterrupt:
            stop.set()
            raise


class _Stopped(Exception):
    """Another thread wants this one to end."""


class _Ingest:
    """State of one pass through an archive."""

    def __init__(self, job: Job, data: Data, audio: Audio, folder: Path, stop: threading.Event) -> None:
        self.job = job
        self.data = data
        self.audio = audio
        self.folder = folder
        self.stop = stop
        self.train = job.split == "train"
        self.clip_pattern = data.train_clips if self.train else data.test_clips
        self.noise_pattern = data.noise_clips if self.train else None
        self.speaker = re.compile(data.speaker_pattern) if self.train and data.speaker_pattern else None
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

            archive.stream(self.job.archive, self._take, choose)
        return self._finish()

    def _files_to_keep(self) -> dict[str, str]:
        """Text files in the archive, by path -> the name they are kept under."""
        files = {getattr(self.data, field): name for field, name in LIST_FILES.items()}
        if self.data.label_table is not None:
            files[self.data.label_table.file] = LABEL_TABLE_FILE
        return {path: name for path, name in files.items() if path is not None}

    def _kinds(self, members: list[archive.Member]) -> dict[str, Literal["file", "noise", "clip"]]:
        """What each wanted member is."""
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
                hint=f"correct data.{self.job.split}_clips in competition.yaml",
            )
        return kinds

    def _take(self, member: archive.Member, content: bytes) -> None:
        if self.stop.is_set():
            raise _Stopped
        kind = self.kinds[member.name]
        if kind == "file":
            (self.folder / self.files[member.name]).write_bytes(content)
        elif kind == "noise":
            self._take_noise(PurePosixPath(member.name).name, content)
        else:
            self._take_clip(PurePosixPath(member.name), content)
        self.advance(1)

    def _take_noise(self, file_name: str, content: bytes) -> None:
        waveform = wav.decode_whole(content, self.audio)
        if len(waveform):
            self._claim(self.noise, file_name)
            self.noise_store.add(file_name, waveform)
        else:
            console.note(f"left out: {file_name} in {self.job.archive.name} has no audio that can be read")

    def _take_clip(self, path: PurePosixPath, content: bytes) -> None:
        clip_id = f"{path.parent.name}/{path.name}" if self.train else path.name
        self._claim(self.ids, clip_id)
        clip = wav.decode(content, self.audio)
        problem = clip.problem
        if self.train:
            if clip.sha1 in self.contents and problem not in _UNUSABLE:
                problem = "duplicate"
            self.contents.add(clip.sha1)
        word = path.parent.name if self.train and self.data.label_table is None else None
        match = self.speaker.search(path.name) if self.speaker is not None else None
        windows = clip.rows if clip.rows.ndim == 2 else clip.rows[None]
        self.facts.append(
            _Fact(
                clip_id=clip_id,
                path=str(path),
                word=word,
                speaker=match[1] if match else None,
                row=self.rows,
                samples=clip.samples,
                rms=clip.rms,
                peak=clip.peak,
                sha1=clip.sha1,
                problem=problem,
                windows=len(windows),
            )
        )
        for window in windows:
            self.store.add(clip_id, window)
        self.rows += len(windows)

    def _claim(self, ids: set[str], clip_id: str) -> None:
        if clip_id in ids:
            raise ArchiveError(
                f"{self.job.archive.name}: two files are called {clip_id!r}",
                hint=f"narrow data.{self.job.split}_clips in competition.yaml, so that it matches only one",
            )
        ids.add(clip_id)

    def _finish(self) -> Ingested:
        facts = pl.DataFrame(self.facts, schema=_WINDOWED, orient="row")
        if self.audio.longer == "cut":
            facts = facts.select(list(_SCHEMA))
        if self.train and self.data.label_table is not None:
            facts = _with_labels(facts, self.folder / LABEL_TABLE_FILE, self.data.label_table)
        facts.write_parquet(self.folder / FACTS_FILE)
        problems = Counter(fact.problem for fact in self.facts if fact.problem)
        ingested = Ingested(len(self.facts), len(self.noise), dict(problems.most_common()))
        (self.folder / _COUNTS_FILE).write_text(json.dumps(asdict(ingested)), encoding="utf-8")
        return ingested


def _with_labels(facts: pl.DataFrame, path: Path, table: LabelTable) -> pl.DataFrame:
    """`facts` with word, and speaker where the table has it, looked up by file name; null where absent.

    A clip that may have several labels has none, "", where its cell is empty.
    """
    if not path.is_file():
        raise ConfigError(
            f"data.label_table.file: {table.file!r} is not in the train archive",
            hint="give its path inside the archive",
        )
    try:
        labels = pl.read_csv(path, infer_schema=False)
    except pl.exceptions.PolarsError as error:
        raise ConfigError(
            f"data.label_table.file: {table.file!r} is not a CSV: {error}", hint="look at it"
        ) from error
    columns = {"word": table.label} | ({"speaker": table.speaker} if table.speaker else {})
    for field, column in {"id": table.id, **columns}.items():
        if column not in labels.columns:
            raise ConfigError(
                f"data.label_table: {table.file!r} has no column {column!r} ({field})",
                hint=close_match(column, labels.columns),
            )
    chosen = labels.select(pl.col(table.id).alias("_file"), *(pl.col(c).alias(n) for n, c in columns.items()))
    if table.separator is not None:
        chosen = chosen.with_columns(pl.col("word").fill_null(""))
    files = pl.col("path").str.split("/").list.last().alias("_file")
    joined = (
        facts.drop(columns)
        .with_columns(files)
        .join(chosen.unique("_file", keep="first"), on="_file", how="left", maintain_order="left")
    )
    return joined.select(facts.columns)
