"""Compute embeddings of a store's clips with a frozen pretrained network, and cache them as log-mels are."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from kagglekit.data.store import Store
from kagglekit.errors import ConfigError
from kagglekit.features.cache import CheckedRows, cached_rows
from kagglekit.features.logmel import FULL_SCALE
from kagglekit.files.keys import key_of

VERSION = 1  # part of the cache key: raise it when the same network gives other embeddings
BATCH = 32  # clips; the activations of a base-sized network stay below 1 GB
FILE = "embeddings.npy"


@dataclass(frozen=True)
class FrozenNetwork:
    """A frozen network, which is loaded only if there are embeddings to compute."""

    model: str
    """The architecture's name, for messages."""
    key: Any
    """Everything that shapes the embeddings but the audio, JSON-serialisable."""
    dtype: str
    """Type of cached embeddings: float16 or float32."""
    load: Callable[[], torch.nn.Module]
    """Build the network with its pretrained weights."""

    def embedder(self, device: torch.device) -> Callable[[Tensor], Tensor]:
        """Load the network onto a device, in evaluation mode, and return its `embed`.

        It maps (batch, samples) in [-1, 1] at 16 kHz to (batch, layers or steps, dim).
        """
        return cast(Callable[[Tensor], Tensor], self.load().eval().to(device).embed)


def embedding_cache(
    folder: Path,
    store: Store,
    store_key: str,
    network: FrozenNetwork,
    device: torch.device,
    name: str,
    computed: Iterable[np.ndarray[Any, Any]] | None = None,
) -> CheckedRows:
    """Open the cached embeddings of all clips in a store, after computing them if there are none.

    Args:
        store: decoded clips at 16 kHz.
        name: the store's name in the progress bar.
        computed: the results of `embeddings` from elsewhere, such as a cluster; None: compute them here.

    Returns:
        (clips, layers or steps, dim), float16 or float32, in the order of the store.

    Raises:
        KagglekitError: the network's weights cannot be found.
        ConfigError: a value is too large for float16.
    """
    key = key_of("embeddings", VERSION, store_key, network.key, network.dtype)
    rows = embeddings(store, network, device) if computed is None else computed
    return cached_rows(folder / key / FILE, len(store), rows, f"embeddings {name}")


def embed(waveform: Tensor, network: FrozenNetwork, device: torch.device) -> Tensor:
    """Compute embeddings without a cache, of waveform (clips, samples) in [-1, 1] at 16 kHz."""
    embedder = network.embedder(device)
    return torch.cat([embedder(rows.to(device)).cpu() for rows in torch.split(waveform, BATCH)])


def embeddings(
    store: Store, network: FrozenNetwork, device: torch.device, start: int = 0, stop: int | None = None
) -> Iterator[np.ndarray[Any, Any]]:
    """Yield batches of embeddings, of network.dtype, for the store's clips start ... stop - 1.

    Raises:
        ConfigError: a value is too large for float16.
    """
    embedder, dtype = network.embedder(device), getattr(torch, network.dtype)
    end = len(store) if stop is None else stop
    for first in range(start, end, BATCH):
        waveform = torch.tensor(store[first : min(first + BATCH, end)]).float() / FULL_SCALE
        rows = embedder(waveform.to(device)).to(dtype).cpu().numpy()
        if not np.isfinite(rows).all():
            raise ConfigError(
                f"an embedding by {network.model} is not finite in {network.dtype}",
                hint="set embeddings: float32 for this model",
            )
        yield rows
