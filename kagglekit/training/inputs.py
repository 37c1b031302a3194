"""Inputs of networks: cached for the clips of a split, computed for other audio."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from kagglekit import models
from kagglekit.config import Audio, Features
from kagglekit.config.names import InputKind
from kagglekit.data.other_rate import at_rate
from kagglekit.data.prepare import Prepared
from kagglekit.data.shards import Shards
from kagglekit.data.store import Store, open_store
from kagglekit.features import embeddings
from kagglekit.features.cache import CheckedRows, log_mel_cache, log_mels
from kagglekit.features.logmel import FULL_SCALE, geometry, log_mel
from kagglekit.training.plan import Plan
from kagglekit.training.predict import device


def inputs_of(
    prepared: Prepared, plan: Plan, split: str, shards: Shards | None = None
) -> CheckedRows | Store:
    """Return the network's inputs for every clip of a split, computed here or on a cluster if absent.

    Returns:
        Cached log-mels (clips, n_mels, frames) or embeddings (clips, layers or steps, dim); or the store, if
        the network takes waveforms.
    """
    kind, folder = models.input_kind(plan.model, plan.params), prepared.workspace.features
    if kind is InputKind.EMBEDDING:
        network = frozen_network(plan.model, plan.params)
        prepared = at_rate(prepared, network.sample_rate)
        shared = None
        if shards is not None:
            work = partial(_embeddings, plan.model, plan.params)
            shared = replace(shards, prepared=prepared).run(work, split)
        reopen = partial(open_store, prepared.store_folder(split), prepared.sample_rate)
        store, key = prepared.store(split), prepared.keys[split]
        return embeddings.embedding_cache(folder, store, key, network, device(), split, shared, reopen)
    store, key = prepared.store(split), prepared.keys[split]
    if kind is InputKind.LOG_MEL:
        shared = None if shards is None else shards.run(partial(_log_mels, plan.features), split)
        return log_mel_cache(folder, store, key, plan.features, prepared.config.audio, split, shared)
    return store


def inputs_of_waveforms(meta: Mapping[str, Any], waveform: Tensor) -> tuple[Tensor, float]:
    """Compute a run's inputs for clips that no cache has.

    Args:
        meta: META of one of the run's folds.
        waveform: int16 (clips, samples) at the rate of `audio_of`.

    Returns:
        (clips, ..., time), and the steps per second on its time axis.
    """
    audio = audio_of(meta)
    kind = models.input_kind(meta["model"], meta["params"])
    if kind is InputKind.LOG_MEL:
        features = Features(**meta["features"])
        rate = audio.sample_rate / geometry(features, audio.sample_rate)[1]
        return log_mel(waveform, features, audio.sample_rate), rate
    x = waveform.float() / FULL_SCALE
    if kind is InputKind.EMBEDDING:
        x = embeddings.embed(x, frozen_network(meta["model"], meta["params"]), device())
    return x, float(audio.sample_rate)


def audio_of(meta: Mapping[str, Any]) -> Audio:
    """Return what a clip is to a run: the competition's, at the rate of its frozen network if it has one.

    Args:
        meta: META of one of the run's folds.
    """
    audio = Audio(**meta["audio"])
    if models.input_kind(meta["model"], meta["params"]) is not InputKind.EMBEDDING:
        return audio
    rate = frozen_network(meta["model"], meta["params"]).sample_rate
    return audio.model_copy(update={"sample_rate": rate})


def frozen_network(model: str, params: Mapping[str, Any]) -> embeddings.FrozenNetwork:
    """Return the frozen network, and its layers, that the parameters of an architecture choose."""
    config: Any = models.configure(model, params)
    module: Any = models.load(model)
    rate: int | None = getattr(config, "sample_rate", None)  # of a network in a file (models.embedder)
    return embeddings.FrozenNetwork(
        model,
        module.embedding_key(config),
        config.embeddings,
        partial(module.embedder, config),
        rate or models.WAVEFORM_RATE,
        one_core=rate is not None,
    )


def _log_mels(spec: Features, prepared: Prepared, split: str, start: int, stop: int) -> NDArray[Any]:
    return np.concatenate(list(log_mels(prepared.store(split), spec, prepared.config.audio, start, stop)))


def _embeddings(
    model: str, params: Mapping[str, Any], prepared: Prepared, split: str, start: int, stop: int
) -> NDArray[Any]:
    store, network = prepared.store(split), frozen_network(model, params)
    return np.concatenate(list(embeddings.embeddings(store, network, device(), start, stop)))
