"""Predict audio files with a trained run."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from kagglekit.config import Audio, Train
from kagglekit.config.names import LabelKind
from kagglekit.data.cuts import Cut, Int16, row_times, segment
from kagglekit.data.decode import clip_of, decode_recording
from kagglekit.errors import AudioError
from kagglekit.runs.store import Run, kind_of, load_fold, read_meta
from kagglekit.scoring.numerics import sigmoid, softmax
from kagglekit.training.dataset import pool
from kagglekit.training.inputs import audio_of, inputs_of_waveforms
from kagglekit.training.predict import classify

MAX_BYTES = 100_000_000


def predict_wavs(run: Run, paths: Sequence[Path], every: float | None = None) -> dict[str, dict[str, float]]:
    """Return the class probabilities of each file, best first, as the mean over the run's folds.

    Args:
        every: seconds of a row, where rows are windows; each is named by file and time: "a.ogg 5-10 s".

    Raises:
        ConfigError: a file has too many rows.
        AudioError: a file is missing, is not audio, or is larger than 100 MB.
        MissingError: the run's weights are gone.
    """
    folds = [run.folder / f"fold_{number}" for number in range(len(run.metrics["folds"]))]
    meta = read_meta(folds[0])
    audio = audio_of(meta)
    named = {name: rows for path in paths for name, rows in _read(path, audio, every).items()}
    clips = [np.atleast_2d(rows) for rows in named.values()]
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
        name: {head.classes[i]: float(row[i]) for i in np.argsort(-row, kind="stable")}
        for name, row in zip(named, mean, strict=True)
    }


def _read(path: Path, audio: Audio, every: float | None) -> dict[str, Int16]:
    """Return the samples of a file's clip, or those of each of its rows, by name."""
    if not path.is_file():
        raise AudioError(f"there is no file {path}", hint="check the path")
    if path.stat().st_size > MAX_BYTES:
        raise AudioError(f"{path} is larger than 100 MB", hint=f"cut it to {audio.seconds:g} s")
    pcm, sound = decode_recording(path.read_bytes(), audio)
    clip = clip_of(pcm, sound, "", audio)
    if clip.problem in ("empty", "unreadable"):
        raise AudioError(f"{path} is {clip.problem}", hint="give a wav, flac or ogg file with audio in it")
    if every is None:
        return {str(path): clip.rows}
    times = row_times(str(path), len(pcm) / audio.sample_rate, every)
    return {
        f"{path} {start:g}-{end:g} s": clip_of(
            segment(pcm, Cut("", start, end), audio), sound, "", audio
        ).rows
        for start, end in times
    }
