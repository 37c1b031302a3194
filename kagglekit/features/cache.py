"""Cache log-mels of a whole store: a memory-mapped .npy file in a folder named by its key."""

import io
import math
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.lib import format as npy
from numpy.typing import NDArray

from kagglekit.config import Audio, Features
from kagglekit.data.store import Store
from kagglekit.features import logmel
from kagglekit.files.atomic import building
from kagglekit.files.blocks import CheckedFile, damaged
from kagglekit.files.keys import key_of
from kagglekit.terminal import progress

CHUNK = 512  # clips computed and written at a time: 8 MB of features, so that memory stays flat
FILE = "log_mel.npy"
HEADER_BYTES = 2**16
"""At most, in a .npy file of version 1."""


class CheckedRows:
    """An array in a .npy file, mapped into memory; what is read of it has been checked.

    Raises:
        DamagedCacheError: the file is damaged; reading rows raises it, too.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._file = CheckedFile(path)
            self._file.check(0, 1)
            header = io.BytesIO(self._file.data[:HEADER_BYTES].tobytes())
            npy.read_magic(header)
            self.shape, _, self.dtype = npy.read_array_header_1_0(header)
            self._start = header.tell()
            count = math.prod(self.shape)
            flat = np.frombuffer(self._file.data, self.dtype, count, self._start)
        except (OSError, EOFError, ValueError) as error:
            raise damaged(path.parent, f"{path} cannot be read: {error}") from error
        self._array = flat.reshape(self.shape)

    def __len__(self) -> int:
        return len(self._array)

    def __getitem__(self, rows: slice | NDArray[np.integer[Any]]) -> NDArray[Any]:
        """Return rows, (n, ...): a view for a slice, a copy for indices (n,)."""
        if not self._file.is_checked:
            size = self._array[:1].nbytes
            self._file.check_rows(self._start + np.arange(len(self))[rows] * size, size)
        return self._array[rows]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self[:], dtype)


def feature_key(store_key: str, spec: Features, audio: Audio) -> str:
    """Hash everything that shapes the log-mels: the audio, the parameters and the method."""
    return key_of("log_mel", logmel.VERSION, store_key, spec.model_dump(), audio.model_dump())


def log_mel_cache(
    folder: Path,
    store: Store,
    store_key: str,
    spec: Features,
    audio: Audio,
    name: str,
    computed: Iterable[np.ndarray[Any, Any]] | None = None,
) -> CheckedRows:
    """Open the cached log-mels of all clips in a store, after computing them if there are none.

    Args:
        name: the store's name in the progress bar.
        computed: the results of `log_mels` from elsewhere, such as a cluster; None: compute them here.

    Returns:
        (clips, n_mels, frames) of spec.dtype, in the order of the store.
    """
    batches = log_mels(store, spec, audio) if computed is None else computed
    path = folder / feature_key(store_key, spec, audio) / FILE
    return cached_rows(path, len(store), batches, f"log-mel {name}")


def cached_rows(
    path: Path, count: int, batches: Iterable[np.ndarray[Any, Any]], name: str | None
) -> CheckedRows:
    """Open a cached array after writing it if it does not exist.

    Args:
        path: <folder>/<key>/<file>.npy.
        batches: the rows in order; iterated only to write them.
        name: of the progress bar; None: there is none.

    Raises:
        DamagedCacheError: the file is damaged; it is made again by the next call.
    """
    with building(path.parent, path.parent.name) as part:
        if part is not None:
            with ExitStack() as stack:
                file = stack.enter_context((part / path.name).open("wb"))
                advance = stack.enter_context(progress.bar(name, count, "clips")) if name else None
                for rows in batches:
                    if not file.tell():
                        header = {"descr": npy.dtype_to_descr(rows.dtype), "shape": (count, *rows.shape[1:])}
                        npy.write_array_header_1_0(file, {**header, "fortran_order": False})
                    file.write(rows.tobytes())
                    if advance is not None:
                        advance(len(rows))
    return CheckedRows(path)


def log_mels(
    store: Store, spec: Features, audio: Audio, start: int = 0, stop: int | None = None
) -> Iterator[np.ndarray[Any, Any]]:
    """Yield batches of log-mels, of spec.dtype, for the store's clips start ... stop - 1."""
    end = len(store) if stop is None else stop
    if start == end:  # a hidden test
        silence = torch.zeros(1, audio.samples, dtype=torch.int16)
        yield logmel.log_mel(silence, spec, audio.sample_rate).numpy().astype(spec.dtype, copy=False)[:0]
    for first in range(start, end, CHUNK):
        rows = torch.tensor(store[first : min(first + CHUNK, end)])  # a copy, as torch needs writable memory
        yield logmel.log_mel(rows, spec, audio.sample_rate).numpy().astype(spec.dtype, copy=False)
