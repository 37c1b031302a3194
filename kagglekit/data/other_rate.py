"""Read the clips at another sample rate than the competition's, for a network that was trained at it.

Rows, ids and folds stay those of the clips table, so that models of different rates are blended.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from kagglekit.data import ingest
from kagglekit.data.content import read_content
from kagglekit.data.prepare import Prepared
from kagglekit.data.samples import resample, to_int16
from kagglekit.data.store import StoreWriter, open_store
from kagglekit.files.atomic import building, done_key
from kagglekit.files.keys import key_of
from kagglekit.files.workspace import Workspace

VERSION = 1  # part of the keys: raise it when the samples change


def at_rate(prepared: Prepared, rate: int) -> Prepared:
    """Return the same clips at `rate` Hz, read again from the recordings where decoded ones have lost it.

    Where `audio.store` is decoded, the recordings' own bytes are kept in the workspace, too. Silence, and
    splits whose recordings give other rows than their headers promise, are resampled.

    Raises:
        KagglekitError: the recordings are no longer there.
    """
    if rate == (prepared.sample_rate or prepared.config.audio.sample_rate):
        return prepared
    keys = {split: key_of("rate", VERSION, rate, key) for split, key in prepared.keys.items()}
    is_source = prepared.config.audio.store == "source"
    folders = {s: f for s, f in prepared.folders.items() if s != "silence"}  # silence is always decoded
    others = folders if is_source else _source_stores(prepared)
    for split, folder in prepared.folders.items():
        if split in others and (is_source or _same_rows(others[split], folder)):
            folders[split] = others[split]
        else:
            folders[split] = prepared.workspace.audio_folder(split, keys[split])
            _resample(prepared, split, rate, folders[split], keys[split])
    return replace(prepared, folders=folders, keys=keys, sample_rate=rate)


def _source_stores(prepared: Prepared) -> dict[str, Path]:
    """Keep the recordings' own bytes, from which clips are read at any rate: split to folder."""
    keys = {s: key_of("source", VERSION, key) for s, key in prepared.keys.items() if s != "silence"}
    folders = {split: prepared.workspace.audio_folder(split, key) for split, key in keys.items()}
    if any(done_key(folder) != keys[split] for split, folder in folders.items()):
        audio = prepared.config.audio.model_copy(update={"store": "source"})
        workspace = Workspace(prepared.config.model_copy(update={"audio": audio}))
        jobs = [job for job in read_content(workspace).jobs if job.split in folders]
        jobs = [job._replace(target=folders[job.split], key=keys[job.split], noise=None) for job in jobs]
        ingest.ingest_all(workspace, jobs)
    return folders


def _same_rows(folder: Path, other: Path) -> bool:
    return open_store(folder / ingest.STORE).clip_ids == open_store(other / ingest.STORE).clip_ids


def _resample(prepared: Prepared, split: str, rate: int, folder: Path, key: str) -> None:
    """Write a split's decoded clips at another rate."""
    store, audio = prepared.store(split), prepared.config.audio
    samples = audio.model_copy(update={"sample_rate": rate}).samples
    with building(folder, key) as part:
        if part is None:
            return
        with StoreWriter(part / ingest.STORE, samples) as writer:
            for first, rows in store.batches():
                for number, row in enumerate(rows, start=first):
                    clip, other = np.zeros(samples, np.int16), resample(row, audio.sample_rate, rate)
                    clip[: len(other)] = to_int16(other[:samples])
                    writer.add(store.clip_ids[number], clip)
