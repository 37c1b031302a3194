"""Predict audio files with a trained run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kagglekit.config import Audio, Train
from kagglekit.config.names import LabelKind
from kagglekit.data.decode import decode
from kagglekit.errors import AudioError
from kagglekit.runs.store import Run, kind_of, load_fold, read_meta
from kagglekit.scoring.numerics import sigmoid, softmax
from kagglekit.training.dataset import pool
from kagglekit.training.inputs import inputs_of_waveforms
from kagglekit.training.predict import classify

MAX_BYTES = 100_000_000


def predict_wavs(run: Run, paths: Sequence[Path]) -> dict[str, dict[str, float]]:
    """Return the class probabilities of each file, best first, as the mean over the run's folds.

    Raises:
        AudioError: a file is missing, is not audio, or is larger than 100 MB.
        MissingError: the run's weights are gone.
    """
    folds = [run.folder / f"fold_{number}" for number in range(len(run.metrics["folds"]))]
    meta = read_meta(folds[0])
    audio = Audio(**meta["audio"])
    clips = [np.atleast_2d(_read(path, audio)) for path in paths]
    windows = np.array([len(clip) for clip in clips])
    x, rate = inputs_of_waveforms(meta, torch.from_numpy(np.concatenate(clips)))
    to_probs = sigmoid if kind_of(meta) is LabelKind.MULTI else softmax
    probs: list[np.ndarray[tuple[int, int], np.dtype[np.float64]]] = []
    for fold in folds:
        model, head, meta = load_fold(fold)
        logits = pool(classify(model, x, head, Train(**meta["train"]), rate), windows, head)
        probs.append(to_probs(logits))
    mean = np.mean(probs, axis=0)
    return {
        str(path): {head.classes[i]: float(row[i]) for i in np.argsort(-row)}
        for path, row in zip(paths, mean, strict=True)
    }


def _read(path: Path, audio: Audio) -> np.ndarray[Any, np.dtype[np.int16]]:
    if not path.is_file():
        raise AudioError(f"there is no file {path}", hint="check the path")
    if path.stat().st_size > MAX_BYTES:
        raise AudioError(f"{path} is larger than 100 MB", hint=f"cut it to {audio.seconds:g} s")
    clip = decode(path.read_bytes(), audio)
    if clip.problem in ("empty", "unreadable"):
        raise AudioError(f"{path} is {clip.problem}", hint="give a wav, flac or ogg file with audio in it")
    return clip.rows
