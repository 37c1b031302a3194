"""Features of a whole store, computed once: a memory-mapped .npy in a folder named by its key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.lib import format as npy

from kagglekit.config import Audio, Features
from kagglekit.data.store import Store
from kagglekit.errors import MissingError
from kagglekit.features import logmel
from kagglekit.files.atomic import building
from kagglekit.files.keys import key_of
from kagglekit.terminal import progress

CHUNK = 512  # clips read, transformed and written at a time: 8 MB of features, so memory stays flat
FILE = "log_mel.npy"


def feature_key(store_key: str, spec: Features, audio: Audio) -> str:
    """Changes with the audio, the parameters and the method."""
    return key_of("log_mel", logmel.VERSION, store_key, spec.model_dump(), audio.model_dump())


def log_mel_cache(
    folder: Path,
    store: Store,
    store_key: str,
    spec: Features,
    audio: Audio,
    name: str,
    computed: Iterable[np.ndarray[Any, Any]] | None = None,
) -> np.ndarray[Any, Any]:
    """Log-mels of every clip of `store`, computed where they are not there yet.

    Args:
        folder: the workspace's features folder.
        store: decoded clips.
        store_key: what the store was made from.
        spec: the log-mel's parameters.
        audio: the clips' rate and length.
        name: what the bar says is being computed.
        computed: `log_mels` of the whole store where something else computes them, a cluster for one.

    Returns:
        Memory-mapped (clips, n_mels, frames) of spec.dtype, in the order of the store.
    """
    key = feature_key(store_key, spec, audio)
    target = folder / key
    with building(target, key) as part:
        if part is not None:
            with (part / FILE).open("wb") as file:
                _write(file, store, spec, audio, name, computed)
    return open_array(target / FILE)


def open_array(path: Path) -> np.ndarray[Any, Any]:
    """A cached array, memory-mapped.

    Raises:
        MissingError: absent or damaged.
    """
    try:
        array: np.ndarray[Any, Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, EOFError, ValueError) as error:
        raise MissingError(
            f"{path} cannot be read: {error}", hint=f"remove the folder {path.parent} and run again"
        ) from error
    return array


def log_mels(
    store: Store, spec: Features, audio: Audio, start: int = 0, stop: int | None = None
) -> Iterator[np.ndarray[Any, Any]]:
    """Log-mels of a store's clips from `start` to before `stop`, some at a time, of spec.dtype."""
    end = len(store) if stop is None else stop
    for first in range(start, end, CHUNK):
        rows = torch.tensor(store[first : min(first + CHUNK, end)])  # a copy: torch wants writable memory
        yield logmel.log_mel(rows, spec, audio.sample_rate).numpy().astype(spec.dtype, copy=False)


def _write(
    file: BinaryIO,
    store: Store,
    spec: Features,
    audio: Audio,
    name: str,
    computed: Iterable[np.ndarray[Any, Any]] | None,
) -> None:
    frames = logmel.frame_count(audio.samples, spec, audio.sample_rate)
    shape = (len(store), spec.n_mels, frames)
    descr = npy.dtype_to_descr(np.dtype(spec.dtype))
    npy.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})
    with progress.bar(f"log-mel {name}", len(store), "clips") as advance:
        for features in log_mels(store, spec, audio) if computed is None else computed:
            file.write(features.tobytes())
            advance(len(features))
