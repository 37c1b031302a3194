"""Predict the test with a run's folds: on this machine, or in shards on a cluster."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from kagglekit.config import Config, Train
from kagglekit.data.clips import WINDOWS
from kagglekit.data.other_rate import at_rate
from kagglekit.data.prepare import Prepared
from kagglekit.data.shards import Shards, shards
from kagglekit.errors import MissingError
from kagglekit.files.leftovers import temporary_folder
from kagglekit.files.locks import locked
from kagglekit.files.workspace import model_of
from kagglekit.runs.setup import make_dataset
from kagglekit.runs.store import Run, load_fold, mean_test, plan_of, read_meta, train_again
from kagglekit.scoring.predictions import predictions, read_predictions, write_predictions
from kagglekit.terminal import progress
from kagglekit.training.dataset import Dataset, places, pool, windows_of
from kagglekit.training.files import META, TEST, WEIGHTS
from kagglekit.training.inputs import audio_of, inputs_of_waveforms
from kagglekit.training.predict import EVAL_BATCH, classify, device, predict

Weights = Mapping[int, Mapping[str, bytes]]
"""The two files of each fold's model."""


def predict_test(config: Config, dataset: Dataset, folder: Path) -> pl.DataFrame:
    """Predict the test with every fold's model, and return the mean of the folds.

    Each fold's predictions are kept beside its weights.
    """
    clips = _test_clips(dataset.clips)
    folds = range(config.validation.folds)
    with progress.bar(f"predict {model_of(folder.parent)}", len(clips) * len(folds), "clips") as advance:
        for number in folds:
            path = folder / f"fold_{number}" / TEST
            if not path.is_file():
                model, head, meta = load_fold(path.parent)
                train = Train(**meta["train"])
                if train.labels == "zero_shot" and number:  # the same model in every fold
                    write_predictions(read_predictions(folder / "fold_0" / TEST, train_again(folder)), path)
                else:
                    head = replace(head, thresholds=None)
                    logits = predict(model.to(device()), dataset, clips, head, train, advance)
                    write_predictions(predictions(clips, logits), path)
                    continue
            advance(len(clips))
    return mean_test(config, folder)


def predict_test_on(shards: Shards, folder: Path) -> pl.DataFrame:
    """Do the same on a cluster. A node computes the features of its clips once, for all folds.

    Raises:
        KagglekitError: as `Shards.run`.
    """
    config, clips = shards.prepared.config, _test_clips(shards.prepared.clips)
    paths = {number: folder / f"fold_{number}" / TEST for number in range(config.validation.folds)}
    missing = [number for number, path in paths.items() if not path.is_file()]
    if missing and read_meta(paths[0].parent)["train"]["labels"] == "zero_shot":
        missing = [0]
    if missing:
        audio = audio_of(read_meta(paths[0].parent))
        shards = replace(shards, prepared=at_rate(shards.prepared, audio.sample_rate))
        weights = {
            number: {name: (paths[number].parent / name).read_bytes() for name in (META, WEIGHTS)}
            for number in missing
        }
        parts = []
        with progress.bar(f"predict {model_of(folder.parent)}", len(clips), "clips") as advance:
            for part in shards.run(partial(_logits, folder.name, weights), "test"):
                parts.append(part)
                advance(len(part))
        logits = np.concatenate(parts)
        windows, head = windows_of(clips), load_fold(paths[0].parent)[1]
        rows = np.repeat(clips["row"].to_numpy(), windows) + places(windows)
        for place, number in enumerate(missing):
            pooled = pool(logits[rows, place], windows, head)
            write_predictions(predictions(clips, pooled), paths[number])
    for path in paths.values():
        if not path.is_file():
            write_predictions(read_predictions(paths[0], train_again(folder)), path)
    return mean_test(config, folder)


def restore_test(prepared: Prepared, run: Run, cluster: str | None = None) -> None:
    """Predict the test clips from the weights of a run's folds, here or in shards on the Ray cluster named.

    Raises:
        MissingError: the run was trained on other clips or folds.
    """
    if run.metrics["clips_key"] != prepared.key:
        raise MissingError(
            f"{run.folder / TEST} is missing, and the run was trained on other clips or folds",
            hint=train_again(run.folder),
        )
    with locked(run.folder, f"run {run.model}/{run.id}"), shards(prepared, cluster) as shared:
        if shared is None:
            dataset = make_dataset(prepared, plan_of(read_meta(run.folder / "fold_0")))
            table = predict_test(prepared.config, dataset, run.folder)
        else:
            table = predict_test_on(shared, run.folder)
        write_predictions(table, run.folder / TEST)


def _test_clips(clips: pl.DataFrame) -> pl.DataFrame:
    columns = [name for name in ("clip_id", "split", "row", WINDOWS) if name in clips.columns]
    return clips.filter(pl.col("split") == "test").select(columns)


def _logits(
    run: str, weights: Weights, prepared: Prepared, split: str, start: int, stop: int
) -> NDArray[np.float32]:
    """Return the logits of one shard by the models of a run: (clips, folds, classes)."""
    waveforms = torch.split(torch.tensor(prepared.store(split)[start:stop]), EVAL_BATCH)
    by_fold: list[NDArray[np.float32]] = []
    with temporary_folder() as folder:
        for number, files in weights.items():
            fold = Path(folder, run, f"fold_{number}")  # where the files belong
            fold.mkdir(parents=True)
            for name, content in files.items():
                (fold / name).write_bytes(content)
            model, head, meta = load_fold(fold)
            if not by_fold:  # all folds take the same inputs
                parts, rates = zip(
                    *(inputs_of_waveforms(meta, waveform) for waveform in waveforms), strict=True
                )
                x, rate = torch.cat(parts), rates[0]
            head, train = replace(head, thresholds=None), Train(**meta["train"])
            model = model.to(device())
            batches = torch.split(x, min(EVAL_BATCH, train.batch_size))
            by_fold.append(np.concatenate([classify(model, batch, head, train, rate) for batch in batches]))
    return np.stack(by_fold, 1)
