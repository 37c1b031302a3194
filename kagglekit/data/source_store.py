"""Keep audio files' own bytes in an Arrow file, and decode the windows that are asked for.

340 hours of Ogg take what their archive takes. The columns are path, bytes (the file), rate (of bytes, in
Hz), and clip_ids and starts, which name the clip and the first sample of every row in the recording: a clip,
or a window of one, as in a store of decoded audio.
"""

import functools
import json
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kagglekit.config import Audio
from kagglekit.data.samples import Float32
from kagglekit.data.source_file import SourceFile, read_part
from kagglekit.data.store_base import ArrowWriter, Indices, Int16, Store, StoreFile, schema_of
from kagglekit.data.windows import window_starts
from kagglekit.files.blocks import CheckedFile
from kagglekit.parallel.processes import cores
from kagglekit.parallel.waiting import gather
from kagglekit.terminal import console

BATCH_BYTES = 2**25
BATCH_SAMPLES = 2**22  # decoded at a time, 8 MB
_AUDIO = "kagglekit.audio"
_COLUMNS = [
    ("path", pa.string()),
    ("bytes", pa.large_binary()),
    ("rate", pa.int32()),
    ("clip_ids", pa.list_(pa.string())),
    ("starts", pa.list_(pa.int64())),
]
_FEATURES: dict[str, Any] = {
    "path": {"dtype": "string", "_type": "Value"},
    "bytes": {"dtype": "large_binary", "_type": "Value"},
    "rate": {"dtype": "int32", "_type": "Value"},
    "clip_ids": {"feature": {"dtype": "string", "_type": "Value"}, "_type": "List"},
    "starts": {"feature": {"dtype": "int64", "_type": "Value"}, "_type": "List"},
}


class Excerpt(NamedTuple):
    """A clip, as a part of a recording."""

    clip_id: str
    start: int = 0
    """First sample at the competition's sample rate; negative if the clip begins with silence."""
    samples: int | None = None
    """Length; None: to the end of the recording."""


class SourceWriter(ArrowWriter):
    """Write a store of files batch by batch, so that memory stays flat.

    Args:
        folder: created if needed; the Arrow file appears in it when the block ends without an error.
        audio: sample rate, length and windows of the rows that the store will give.
    """

    def __init__(self, folder: Path, audio: Audio) -> None:
        self.audio = audio
        self._schema = schema_of(_FEATURES, _COLUMNS, **{_AUDIO: audio.model_dump()})
        super().__init__(folder, self._schema, _FEATURES)
        self._rows: list[tuple[str, int, list[str], list[int]]] = []
        # Files are copied into one buffer: it keeps its memory, and the files' own is free at once.
        self._buffer = np.empty(BATCH_BYTES, np.uint8)
        self._ends = [0]

    def add(self, path: str, file: SourceFile, parts: Sequence[Excerpt]) -> list[int]:
        """Append a recording and its clips; return how many rows, its windows, each clip has in the store."""
        windows = [
            [part.start + start for start in window_starts(self._length(file, part), self.audio)]
            for part in parts
        ]
        counts = list(map(len, windows))
        ids = [part.clip_id for part, count in zip(parts, counts, strict=True) for _ in range(count)]
        starts = [start for each in windows for start in each]
        if self._ends[-1] + len(file.content) > len(self._buffer):
            self._flush()
        if len(file.content) > len(self._buffer):
            self._buffer = np.empty(len(file.content), np.uint8)
        end = self._ends[-1] + len(file.content)
        self._buffer[self._ends[-1] : end] = np.frombuffer(file.content, np.uint8)
        self._ends.append(end)
        self._rows.append((path, file.content_rate, ids, starts))
        self._digest.update(f"{path} {file.sha1} {ids} {starts}".encode())
        return counts

    @staticmethod
    def _length(file: SourceFile, part: Excerpt) -> int:
        rest = max(file.samples - part.start, 0)
        return rest if part.samples is None else min(part.samples, rest)

    def _flush(self) -> None:
        if not self._rows:
            return
        paths, rates, ids, starts = zip(*self._rows, strict=True)
        offsets, data = pa.array(self._ends, pa.int64()).buffers()[1], pa.py_buffer(self._buffer)
        content = pa.Array.from_buffers(pa.large_binary(), len(paths), [None, offsets, data])
        columns = zip((paths, content, rates, ids, starts), _COLUMNS, strict=True)
        arrays = [c if isinstance(c, pa.Array) else pa.array(list(c), kind) for c, (_, kind) in columns]
        self._stream.write_batch(pa.record_batch(arrays, schema=self._schema))
        self._rows, self._ends = [], [0]


def _places(chunks: Sequence[pa.Array], file: CheckedFile) -> npt.NDArray[np.int64]:
    """Return where the bytes of each recording begin and end in the Arrow file, (recordings, 2)."""
    places = [np.empty((0, 2), np.int64)]
    for chunk in chunks:
        _, offsets, data = chunk.buffers()
        ends = np.frombuffer(offsets, np.int64, len(chunk) + 1, chunk.offset * 8)
        base = 0 if data is None else data.address - file.data.ctypes.data
        places.append(base + np.stack([ends[:-1], ends[1:]], 1))
    return np.concatenate(places)


@functools.cache
def _note_damage(path: str) -> None:
    """Say once that a recording is not as its header says."""
    console.note(
        f"{path} is damaged, or shorter than its header says; what is missing is zero: "
        "kagglekit doctor --deep counts such recordings"
    )


def is_source(table: pa.Table) -> bool:
    """Tell whether a store's table holds files."""
    return bool(table.column_names == [name for name, _ in _COLUMNS])


def _result(out: Float32, futures: list[Future[None]]) -> Float32:
    gather(futures)
    return out


class _Span(NamedTuple):
    """Rows that lie in one recording, and the samples that contain them."""

    recording: int
    rows: npt.NDArray[np.int64]
    """Places among the rows that are asked for."""
    starts: npt.NDArray[np.int64]
    """First sample of each."""


class SourceStore(Store):
    """Windows of recordings, decoded by all cores whenever they are asked for.

    Args:
        sample_rate: of the rows, in Hz; None: the one that the store was written for.
    """

    def __init__(self, opened: StoreFile, sample_rate: int | None = None) -> None:
        table, self._file = opened
        written = Audio(**json.loads(table.schema.metadata[_AUDIO.encode()]))
        self.audio = written.model_copy(update={"sample_rate": sample_rate or written.sample_rate})
        self.samples = self.audio.samples
        self._places = _places(table.column("bytes").chunks, self._file)
        self._rates = table.column("rate").to_pylist()
        self.paths: list[str] = table.column("path").to_pylist()
        """Of the recordings."""
        ids = table.column("clip_ids").to_pylist()
        self.clip_ids = [clip_id for each in ids for clip_id in each]
        self._recordings = np.repeat(np.arange(len(ids)), list(map(len, ids)))
        starts = np.array([i for each in table.column("starts").to_pylist() for i in each], np.int64)
        self._starts = starts * self.audio.sample_rate // written.sample_rate

    def __getitem__(self, rows: slice) -> Int16:
        """Decode contiguous rows, (n, samples)."""
        return self.take(np.arange(*self._range(rows)))

    def take(self, indices: Indices) -> Int16:
        """Decode the rows at `indices` (n,), in that order: (n, samples)."""
        out = np.empty((len(indices), self.samples), np.int16)
        gather(self._begin(indices, out))
        return out

    def waveforms(self, batches: Iterable[Indices]) -> Iterator[Float32]:
        """Decode as Store.waveforms; while a batch is in use, the next one is decoded."""
        begun: deque[tuple[Float32, list[Future[None]]]] = deque()
        try:
            for indices in batches:
                out = np.empty((len(indices), self.samples), np.float32)
                begun.append((out, self._begin(indices, out)))
                if len(begun) > 1:
                    yield _result(*begun.popleft())
            while begun:
                yield _result(*begun.popleft())
        finally:
            for _, futures in begun:
                for future in futures:
                    future.cancel()

    def recordings(self) -> Iterator[tuple[str, bytes]]:
        """Yield the path and the file of each recording."""
        for path, (first, stop) in zip(self.paths, self._places, strict=True):
            self._file.check(first, stop)
            yield path, self._file.data[first:stop].tobytes()

    def batches(self) -> Iterator[tuple[int, Int16]]:
        """Decode all rows, a few megabytes at a time: the first row, and (n, samples)."""
        size = max(BATCH_SAMPLES // self.samples, 1)
        for start in range(0, len(self), size):
            yield start, self[start : start + size]

    def _begin(self, indices: Indices, out: Int16 | Float32) -> list[Future[None]]:
        """Decode the rows at `indices` (n,) into `out` (n, samples), in threads."""
        self._check(indices)

        def fill(span: _Span) -> None:
            first, last = int(span.starts.min()), int(span.starts.max())
            if len(span.rows) == 1:
                self._read(span.recording, first, out[span.rows[0]])
                return
            part = np.empty(last - first + self.samples, out.dtype)
            self._read(span.recording, first, part)
            for row, start in zip(span.rows, span.starts - first, strict=True):
                out[row] = part[start : start + self.samples]

        spans = self._spans(self._recordings[indices], self._starts[indices])
        return [self._pool.submit(fill, span) for span in spans]

    def _spans(self, recordings: npt.NDArray[Any], starts: npt.NDArray[np.int64]) -> Iterator[_Span]:
        """Group rows by recording, and split a group where the samples between two rows are not wanted."""
        order = np.lexsort((starts, recordings))
        in_order, start = recordings[order], starts[order]
        apart = (np.diff(in_order) != 0) | (np.diff(start) > self.samples)
        for rows in np.split(order, np.flatnonzero(apart) + 1):
            if len(rows):
                yield _Span(int(recordings[rows[0]]), rows, starts[rows])

    def _read(self, recording: int, start: int, out: Int16 | Float32) -> None:
        first, stop = self._places[recording]
        self._file.check(first, stop)
        content, rate = self._file.data[first:stop].data, self._rates[recording]
        if not read_part(content, rate, self.audio, start, out):
            _note_damage(self.paths[recording])

    @functools.cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(cores(), "decode")
