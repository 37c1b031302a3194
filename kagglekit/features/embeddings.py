"""Compute embeddings of a store's clips with a frozen network, and cache them as log-mels are.

A network is a torch module (models.pretrained, models.speech_embedding), or a file that several processes run
(models.embedder). Clips are embedded in parts, which stay when the work is killed.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from kagglekit.data.store import Store
from kagglekit.errors import ConfigError
from kagglekit.features.cache import CheckedRows, cached_rows
from kagglekit.features.logmel import FULL_SCALE
from kagglekit.files.atomic import building, done_key
from kagglekit.files.keys import key_of
from kagglekit.files.leftovers import remove_tree
from kagglekit.parallel.children import NoProcessError
from kagglekit.parallel.processes import cores, run_all
from kagglekit.terminal import console, progress

VERSION = 1  # part of the cache key: raise it when the same network gives other embeddings
BATCH = 32  # clips; the activations of a base-sized network stay below 1 GB
PART = 2 * BATCH  # clips: some seconds of work, which a kill loses
FILE = "embeddings.npy"


class Embedder(Protocol):
    """A network that is loaded."""

    def embed(self, waveform: Tensor, /) -> Tensor:
        """(batch, samples) in [-1, 1] at the network's rate to (batch, layers or steps, dim)."""
        ...


@dataclass(frozen=True)
class FrozenNetwork:
    """A frozen network, which is loaded only if there are embeddings to compute."""

    model: str
    """The architecture's name, for messages."""
    key: Any
    """Everything that shapes the embeddings but the audio, JSON-serialisable."""
    dtype: str
    """Type of cached embeddings: float16 or float32."""
    load: Callable[[], Embedder]
    """Build the network with its pretrained weights."""
    sample_rate: int = 16_000
    """Of its input, in Hz."""
    one_core: bool = False
    """Whether it computes on one core, so that several processes share the clips."""

    def embedder(self, device: torch.device) -> Callable[[Tensor], Tensor]:
        """Load the network, a module onto a device and in evaluation mode, and return its `embed`."""
        network = self.load()
        if isinstance(network, torch.nn.Module):
            network.eval().to(device)
        return network.embed


def embedding_cache(
    folder: Path,
    store: Store,
    store_key: str,
    network: FrozenNetwork,
    device: torch.device,
    name: str,
    computed: Iterable[np.ndarray[Any, Any]] | None = None,
    reopen: Callable[[], Store] | None = None,
) -> CheckedRows:
    """Open the cached embeddings of all clips in a store, after computing them if there are none.

    Args:
        store: decoded clips at the network's sample rate.
        name: the store's name in the progress bar.
        computed: the results of `embeddings` from elsewhere, such as a cluster; None: compute them here.
        reopen: opens the store in another process; None: compute all in this one.

    Returns:
        (clips, layers or steps, dim), float16 or float32, in the order of the store.

    Raises:
        KagglekitError: the network's weights cannot be found.
        ConfigError: a value is too large for float16.
    """
    key = key_of("embeddings", VERSION, store_key, network.key, network.dtype)
    path, bar = folder / key / FILE, f"embeddings {name}"
    if computed is not None:
        return cached_rows(path, len(store), computed, bar)
    parts = _Parts(folder / f"{key}.parts", network, device)
    if done_key(path.parent) != key:
        parts.compute(store, reopen, bar)
    rows = cached_rows(path, len(store), parts.read(len(store)), None)
    remove_tree(parts.folder)
    return rows


@dataclass(frozen=True)
class _Parts:
    """The embeddings of PART clips each, in folders of their own."""

    folder: Path
    network: FrozenNetwork
    device: torch.device

    def path(self, start: int) -> Path:
        return self.folder / f"{start:09d}" / FILE

    def compute(self, store: Store, reopen: Callable[[], Store] | None, bar: str) -> None:
        """Compute the parts that are not there yet, in several processes where that is faster."""
        starts = range(0, len(store), PART) if len(store) else (0,)
        left = [start for start in starts if done_key(self.path(start).parent) is None]
        with progress.bar(bar, len(store), "clips") as advance:
            advance(len(store) - sum(min(PART, len(store) - start) for start in left))
            if self.network.one_core and reopen is not None and len(left) > 1 and cores() > 1:
                self.network.load()  # what is wrong with it shows before processes are started
                try:
                    run_all(partial(_part_apart, self, reopen), left, cores(), advance)
                    return
                except NoProcessError as error:
                    console.note(f"{error}: embedding in this process")
            embedder = self.network.embedder(self.device) if left else None
            for start in left:
                advance(self.write(store, start, embedder))

    def write(self, store: Store, start: int, embedder: Callable[[Tensor], Tensor] | None) -> int:
        """Write one part, and return its number of clips."""
        stop = min(start + PART, len(store))
        path = self.path(start)
        with building(path.parent, path.parent.name) as part:
            if part is not None:
                rows = embeddings(store, self.network, self.device, start, stop, embedder)
                np.save(part / path.name, np.concatenate(list(rows)))
        return stop - start

    def read(self, count: int) -> Iterator[np.ndarray[Any, Any]]:
        for start in range(0, max(count, 1), PART):
            yield CheckedRows(self.path(start))[:]


def _part_apart(parts: _Parts, reopen: Callable[[], Store], start: int) -> int:
    """Compute one part in another process, which keeps the store and the network open."""
    key = key_of(parts.network.key, str(parts.folder))
    if key not in _OPEN:
        _OPEN.clear()
        _OPEN[key] = reopen(), parts.network.embedder(parts.device)
    return parts.write(_OPEN[key][0], start, _OPEN[key][1])


_OPEN: dict[str, tuple[Store, Callable[[Tensor], Tensor]]] = {}
"""In a process of its own: what it works with."""


def embed(waveform: Tensor, network: FrozenNetwork, device: torch.device) -> Tensor:
    """Compute embeddings without a cache, of waveform (clips, samples) in [-1, 1] at network.sample_rate.

    Raises:
        ConfigError: as `embeddings`.
    """
    embedder = network.embedder(device)
    parts = [embedder(rows.to(device)).cpu() for rows in torch.split(waveform, BATCH)]
    return torch.cat([_finite(part, part, network) for part in parts])


def _finite(rows: Tensor, found: Tensor, network: FrozenNetwork) -> Tensor:
    """Return embeddings that are all finite.

    Args:
        found: the same before they were rounded to network.dtype.

    Raises:
        ConfigError: one is not.
    """
    if rows.isfinite().all():
        return rows
    was_finite = found.isfinite().all()
    raise ConfigError(
        f"an embedding by {network.model} is not finite" + (f" in {network.dtype}" if was_finite else ""),
        hint="set embeddings: float32 for this model"
        if was_finite
        else "check the network's file and `output`",
    )


def embeddings(
    store: Store,
    network: FrozenNetwork,
    device: torch.device,
    start: int = 0,
    stop: int | None = None,
    embedder: Callable[[Tensor], Tensor] | None = None,
) -> Iterator[np.ndarray[Any, Any]]:
    """Yield batches of embeddings, of network.dtype, for the store's clips start ... stop - 1.

    Args:
        embedder: the network, where it is loaded already.

    Raises:
        ConfigError: a value is too large for float16, or not finite.
    """
    embedder, dtype = embedder or network.embedder(device), getattr(torch, network.dtype)
    end = len(store) if stop is None else stop
    if start == end:  # a hidden test
        yield embedder(torch.zeros(1, store.samples, device=device)).to(dtype).cpu().numpy()[:0]
    for first in range(start, end, BATCH):
        waveform = torch.tensor(store[first : min(first + BATCH, end)]).float() / FULL_SCALE
        found = embedder(waveform.to(device))
        yield _finite(found.to(dtype), found, network).cpu().numpy()
