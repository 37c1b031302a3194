"""What networks hear of clips: cached for the clips of a split, made at once for others."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from kagglekit import models
from kagglekit.cluster import Shards
from kagglekit.config import Audio, Config, Features
from kagglekit.data.prepare import Prepared
from kagglekit.data.store import Store
from kagglekit.features import embeddings
from kagglekit.features.cache import log_mel_cache, log_mels
from kagglekit.features.logmel import FULL_SCALE, geometry, log_mel
from kagglekit.training.plan import Plan
from kagglekit.training.predicting import device
from kagglekit.workspace import Workspace


def inputs_of(
    config: Config,
    workspace: Workspace,
    prepared: Prepared,
    plan: Plan,
    split: str,
    shards: Shards | None = None,
) -> NDArray[Any] | Store:
    """What the plan's network hears of every clip of a split, computed if need be, here or on a cluster.

    Returns:
        Cached log-mels (clips, n_mels, frames) or embeddings (clips, layers or steps, dim), memory-mapped; or
        the store, where the network hears waveforms.
    """
    store, key = prepared.store(split), prepared.keys[split]
    hears = models.hears(plan.model, plan.params)
    if hears == "log_mel":
        spec = plan.features
        shared = None if shards is None else shards.run(partial(_log_mels, spec), split)
        return log_mel_cache(workspace.features, store, key, spec, config.audio, split, shared)
    if hears == "embedding":
        network = (plan.model, plan.params)
        shared = None if shards is None else shards.run(partial(_embeddings, *network), split)
        return embeddings.embedding_cache(workspace.features, store, key, *network, device(), split, shared)
    return store


def heard(meta: Mapping[str, Any], waveform: Tensor) -> tuple[Tensor, float]:
    """What models of a run hear of clips that no cache has, and steps of time in a second.

    Args:
        meta: of one of the run's folds.
        waveform: int16 (clips, samples) at the run's sample rate.

    Returns:
        (clips, ..., time), and the rate of its time axis.
    """
    audio = Audio(**meta["audio"])
    hears = models.hears(meta["model"], meta["params"])
    if hears == "log_mel":
        features = Features(**meta["features"])
        rate = audio.sample_rate / geometry(features, audio.sample_rate)[1]
        return log_mel(waveform, features, audio.sample_rate), rate
    x = waveform.float() / FULL_SCALE
    if hears == "embedding":
        x = embeddings.embed(x, meta["model"], meta["params"], device())
    return x, float(audio.sample_rate)


def _log_mels(
    spec: Features, config: Config, prepared: Prepared, split: str, start: int, stop: int
) -> NDArray[Any]:
    return np.concatenate(list(log_mels(prepared.store(split), spec, config.audio, start, stop)))


def _embeddings(
    model: str,
    params: Mapping[str, Any],
    config: Config,
    prepared: Prepared,
    split: str,
    start: int,
    stop: int,
) -> NDArray[Any]:
    store = prepared.store(split)
    return np.concatenate(list(embeddings.embeddings(store, model, params, device(), start, stop)))
