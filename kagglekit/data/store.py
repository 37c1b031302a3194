"""Keep decoded audio in an Arrow file, which is read without copying and opens in Hugging Face `datasets`.

A store is a folder for `datasets.load_from_disk`: data-00000-of-00001.arrow (the stream format),
dataset_info.json and state.json. Its columns are clip_id and audio, int16, with rows of one length for clips
and of any length for recordings.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from kagglekit.data import source_store
from kagglekit.data.store_base import DATA_FILE as DATA_FILE
from kagglekit.data.store_base import ArrowWriter, Indices, StoreFile, damaged, open_table, schema_of
from kagglekit.data.store_base import Int16 as Int16
from kagglekit.data.store_base import Store as Store
from kagglekit.errors import listed

BATCH_ROWS = 1024  # 32 MB of one-second clips at 16 kHz
BATCH_SAMPLES = 2**24  # of recordings, 32 MB


class StoreWriter(ArrowWriter):
    """Write a store batch by batch, so that memory stays flat.

    Args:
        folder: created if needed; the Arrow file appears in it when the block ends without an error.
        samples: length of every clip; None for recordings of any length.
    """

    def __init__(self, folder: Path, samples: int | None) -> None:
        self.samples = samples
        features = _features(samples)
        super().__init__(folder, _schema(samples, features), features)
        self._ids: list[str] = []
        self._ends = [0]  # of the batch's rows, in samples
        # Rows are copied into one buffer: there are no arrays to join, and unused pages take no memory.
        self._batch = np.empty(BATCH_SAMPLES if samples is None else BATCH_ROWS * samples, np.int16)

    def add(self, clip_id: str, row: Int16) -> None:
        """Append a copy of one clip or recording, (samples,)."""
        assert row.dtype == np.int16 and (self.samples is None or row.shape == (self.samples,))
        if len(self._ids) == BATCH_ROWS or self._ends[-1] + len(row) > len(self._batch):
            self._flush()
        if len(row) > len(self._batch):  # a recording of more than a quarter of an hour
            self._batch = np.empty(len(row), np.int16)
        start, end = self._ends[-1], self._ends[-1] + len(row)
        self._batch[start:end] = row
        self._ids.append(clip_id)
        self._ends.append(end)

    def _flush(self) -> None:
        if not self._ids:
            return
        flat = self._batch[: self._ends[-1]]
        # pa.array(flat) would copy, and import pandas, which takes a third of a second.
        values = pa.Array.from_buffers(pa.int16(), len(flat), [None, pa.py_buffer(flat)])
        if self.samples is None:
            audio: Any = pa.ListArray.from_arrays(pa.array(self._ends, pa.int32()), values)
        else:
            audio = pa.FixedSizeListArray.from_arrays(values, self.samples)
        schema = _schema(self.samples, self.features)
        self._stream.write_batch(pa.record_batch([pa.array(self._ids, pa.string()), audio], schema=schema))
        self._digest.update("\n".join(self._ids).encode())
        self._digest.update(flat.data)
        self._ids, self._ends = [], [0]


def _features(samples: int | None) -> dict[str, Any]:
    """Describe the columns in the terms of `datasets`."""
    audio: dict[str, Any] = {"feature": {"dtype": "int16", "_type": "Value"}}
    if samples is not None:
        audio["length"] = samples
    return {"clip_id": {"dtype": "string", "_type": "Value"}, "audio": audio | {"_type": "List"}}


def _schema(samples: int | None, features: dict[str, Any]) -> pa.Schema:
    audio = pa.list_(pa.int16()) if samples is None else pa.list_(pa.int16(), samples)
    return schema_of(features, [("clip_id", pa.string()), ("audio", audio)])


class DecodedStore(Store):
    """Decoded clips, memory-mapped. Arrays it gives are read-only views unless said otherwise."""

    def __init__(self, opened: StoreFile) -> None:
        table, self._file = opened
        self.samples: int = table.schema.field("audio").type.list_size
        self.clip_ids: list[str] = table.column("clip_id").to_pylist()
        chunks = table.column("audio").chunks
        self._batches: list[Int16] = [_samples(chunk.flatten()).reshape(-1, self.samples) for chunk in chunks]
        self._starts = np.cumsum([0, *map(len, self._batches)])
        base = self._file.data.ctypes.data
        self._offsets = np.array([batch.ctypes.data - base for batch in self._batches], np.int64)

    def __getitem__(self, rows: slice) -> Int16:
        """Return (n, samples): a view if the rows lie in one batch, else a copy."""
        start, stop = self._range(rows)
        self._check_rows(np.arange(start, stop))
        parts = [
            batch[max(start - at, 0) : stop - at]
            for at, batch in zip(self._starts, self._batches, strict=False)
            if at < stop and start < at + len(batch)
        ]
        if len(parts) == 1:
            return parts[0]
        return np.concatenate(parts) if parts else np.empty((0, self.samples), np.int16)

    def take(self, indices: Indices) -> Int16:
        """Copy the rows at `indices` (n,), in that order: (n, samples)."""
        self._check(indices)
        self._check_rows(indices)
        out = np.empty((len(indices), self.samples), np.int16)
        batch_of = np.searchsorted(self._starts, indices, side="right") - 1
        for b in np.unique(batch_of):
            here = np.flatnonzero(batch_of == b)
            out[here] = self._batches[b][indices[here] - self._starts[b]]
        return out

    def batches(self) -> Iterator[tuple[int, Int16]]:
        """Yield the first row and an (n, samples) view of each record batch."""
        for start, batch in zip(map(int, self._starts), self._batches, strict=False):
            self._check_rows(np.arange(start, start + len(batch)))
            yield start, batch

    def _check_rows(self, indices: Indices) -> None:
        if self._file.is_checked:
            return
        batch_of = np.searchsorted(self._starts, indices, side="right") - 1
        size = self.samples * np.dtype(np.int16).itemsize
        self._file.check_rows(self._offsets[batch_of] + (indices - self._starts[batch_of]) * size, size)


def open_store(folder: Path, sample_rate: int | None = None) -> Store:
    """Open the clips in `folder`.

    Args:
        sample_rate: at which a store of files (audio.store: source) gives its rows; None: as written.

    Raises:
        KagglekitError: the store is missing or damaged, or its rows differ in length.
    """
    opened = open_table(folder)
    table = opened.table
    if source_store.is_source(table):
        return source_store.SourceStore(opened, sample_rate)
    _check_columns(folder, table)
    if not pa.types.is_fixed_size_list(table.schema.field("audio").type):
        raise damaged(folder, "its recordings have different lengths")
    return DecodedStore(opened)


def open_recordings(folder: Path) -> dict[str, Int16]:
    """Open the recordings in `folder`: id to a read-only view (samples,).

    Raises:
        KagglekitError: the store is missing or damaged.
    """
    table, file = open_table(folder)
    file.check()
    _check_columns(folder, table)
    ids = table.column("clip_id").to_pylist()
    values = table.column("audio")
    return {i: _samples(v.values) for i, v in zip(ids, values, strict=True)}


def _samples(values: pa.Array) -> Int16:
    """View an array without nulls; its to_numpy() would import pandas, which takes a third of a second."""
    _, data = values.buffers()
    if data is None:
        return np.empty(0, np.int16)
    return np.frombuffer(data, np.int16, len(values), values.offset * np.dtype(np.int16).itemsize)


def _check_columns(folder: Path, table: pa.Table) -> None:
    if table.column_names != ["clip_id", "audio"]:
        raise damaged(folder, f"its columns are {listed(table.column_names)}")
