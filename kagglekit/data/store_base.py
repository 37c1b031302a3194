"""What audio stores share: a folder for `datasets.load_from_disk`, and rows of int16 of one length."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kagglekit.data.samples import FULL_SCALE, Float32
from kagglekit.data.samples import Int16 as Int16
from kagglekit.errors import DamagedCacheError
from kagglekit.files import blocks
from kagglekit.files.atomic import move_into_place, read_json, write_json
from kagglekit.files.blocks import CheckedFile
from kagglekit.files.checksums import DAMAGED, digest

Indices = npt.NDArray[np.integer[Any]]

DATA_FILE = "data-00000-of-00001.arrow"
FRAME_FILE = "frame.json"
"""Holds the checksum of the Arrow file without its audio, which is checked before the file is trusted."""
END_OF_STREAM = b"\xff\xff\xff\xff\0\0\0\0"


class Store(ABC):
    """Clips of one length. A row is a clip or a window of one."""

    samples: int
    """Length of every row."""
    clip_ids: list[str]
    """The clip of every row."""

    def __len__(self) -> int:
        return len(self.clip_ids)

    @abstractmethod
    def __getitem__(self, rows: slice) -> Int16:
        """Return contiguous rows, (n, samples)."""

    @abstractmethod
    def take(self, indices: Indices) -> Int16:
        """Copy the rows at `indices` (n,), in that order: (n, samples)."""

    def waveforms(self, batches: Iterable[Indices]) -> Iterator[Float32]:
        """Yield the rows at each batch of indices (n,), in that order: (n, samples) in [-1, 1)."""
        for indices in batches:
            yield np.divide(self.take(indices), FULL_SCALE, dtype=np.float32)

    @abstractmethod
    def batches(self) -> Iterator[tuple[int, Int16]]:
        """Yield the first row of each batch, and its rows (n, samples)."""

    def _check(self, indices: Indices) -> None:
        if len(indices) and not 0 <= indices.min() <= indices.max() < len(self):
            raise IndexError(f"row {indices.min()} or {indices.max()} is not in a store of {len(self)}")

    def _range(self, rows: slice) -> tuple[int, int]:
        start, stop, step = rows.indices(len(self))
        if step != 1:
            raise ValueError("a store gives contiguous rows; use take for others")
        return start, max(start, stop)


class ArrowWriter(ABC):
    """Writes the Arrow file of a store: it appears in the folder when the block ends without an error.

    Args:
        folder: created if needed.
        schema: of the file; `features` are its columns in the terms of `datasets`.
    """

    def __init__(self, folder: Path, schema: pa.Schema, features: dict[str, Any]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.features = folder, features
        self._digest = hashlib.sha1(usedforsecurity=False)
        self._part = folder / f".{DATA_FILE}.part"
        self._file = pa.OSFile(str(self._part), "wb")
        self._stream = pa.ipc.new_stream(self._file, schema)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._flush()
                self._stream.close()
            self._file.close()
            if kind is None:
                describe(self.folder, self.features, self._digest.hexdigest()[:16])
                write_json(self.folder / FRAME_FILE, {"frame": _frame(*_mapped(CheckedFile(self._part)))})
                move_into_place(self._part, self.folder / DATA_FILE)
        finally:
            self._part.unlink(missing_ok=True)

    @abstractmethod
    def _flush(self) -> None:
        """Write what has been added since the last batch."""


def schema_of(features: dict[str, Any], columns: list[tuple[str, pa.DataType]], **more: Any) -> pa.Schema:
    """Return a schema that carries the features of `datasets`, and `more` as JSON."""
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    return pa.schema(columns, metadata=metadata | {name: json.dumps(value) for name, value in more.items()})


def describe(folder: Path, features: dict[str, Any], fingerprint: str) -> None:
    """Write the two JSON files of `datasets`, which keys its caches by the fingerprint."""
    info = {"citation": "", "description": "", "features": features, "homepage": "", "license": ""}
    state: dict[str, Any] = {
        "_data_files": [{"filename": DATA_FILE}],
        "_fingerprint": fingerprint,
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": None,
    }
    (folder / "dataset_info.json").write_text(json.dumps(info, indent=2), encoding="utf-8")
    (folder / "state.json").write_text(json.dumps(state, indent=2), encoding="utf-8")


class StoreFile(NamedTuple):
    """The Arrow file of a store, mapped into memory."""

    table: pa.Table
    """Its audio is not checked yet."""
    file: CheckedFile


def open_table(folder: Path) -> StoreFile:
    """Map the Arrow file of a store into memory, and check everything but its audio.

    Raises:
        DamagedCacheError: it is missing or damaged; the store is made again.
    """
    try:
        file = CheckedFile(folder / DATA_FILE)
        # Arrow would accept a file that is cut between two batches.
        if file.data[-len(END_OF_STREAM) :].tobytes() != END_OF_STREAM:
            raise damaged(folder, "its file is cut off")
        table, file = _mapped(file)
        frame = read_json(folder / FRAME_FILE)["frame"] if (folder / FRAME_FILE).is_file() else None
        if frame not in (None, _frame(table, file)):
            raise damaged(folder, DAMAGED)
    except FileNotFoundError as error:
        raise damaged(folder, f"there is no {DATA_FILE}") from error
    except (pa.ArrowException, OSError, ValueError, LookupError, TypeError) as error:
        raise damaged(folder, next(iter(str(error).splitlines()), type(error).__name__)) from error
    return StoreFile(table, file)


def _mapped(file: CheckedFile) -> tuple[pa.Table, CheckedFile]:
    return pa.ipc.open_stream(pa.py_buffer(file.data)).read_all(), file


def _frame(table: pa.Table, file: CheckedFile) -> str:
    """Hash all bytes of an Arrow file but its audio."""
    base, at, between = file.data.ctypes.data, 0, []
    for batch in table.to_batches():
        audio = audio_of(batch.column(1))
        if audio is not None:
            between.append(file.data[at : audio.address - base])
            at = audio.address - base + audio.size
    return digest(*between, file.data[at:])


def audio_of(column: pa.Array) -> pa.Buffer | None:
    """Return the bytes of a batch's audio, the second column of every store; None where there are none."""
    return column.buffers()[-1]


def damaged(folder: Path, what: str) -> DamagedCacheError:
    """Return the error of a store that cannot be read, and have it made again."""
    return blocks.damaged(folder.parent, f"the audio store {folder} cannot be read: {what}")
