"""Make silence clips from the noise recordings, so that silence is a class like any other.

A recording belongs to one fold, whose training leaves it out, so a fold validates on unseen noise. If there
are fewer recordings than folds, they are split into pieces: these are unseen, their recordings are not.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kagglekit.data.folds import even_folds
from kagglekit.data.store import StoreWriter
from kagglekit.errors import AudioError

VERSION = 1  # part of the cache key: raise it when the method changes
WORD = "_silence_"
LEVEL_DB = (-85.0, -10.0)
"""Uniform range of a clip's RMS in dB of full scale. Test clips without speech span about the same range; the
recordings themselves are all near -45 dB."""
ZERO_SHARE = 0.03  # of the clips are digital silence
MIXED_SHARE = 0.3  # of the clips are the sum of two excerpts

Pieces = dict[str, NDArray[np.int16]]


def split_recordings(recordings: Mapping[str, NDArray[np.int16]], folds: int, samples: int) -> Pieces:
    """Split recordings into pieces, `pink_noise#1` and so on, if there are fewer recordings than folds.

    Raises:
        AudioError: there is no recording, or a piece is no longer than a clip.
    """
    if not recordings:
        raise AudioError(
            "there are no noise recordings", hint="check data.noise, or set labels.silence: null"
        )
    parts = -(-folds // len(recordings))
    pieces: Pieces = {}
    for name, recording in recordings.items():
        for index, piece in enumerate(np.array_split(recording, parts)):
            pieces[f"{name}#{index}" if parts > 1 else name] = piece
    short = [name for name, piece in pieces.items() if len(piece) <= samples]
    if short:
        raise AudioError(
            f"noise '{short[0]}' is {len(pieces[short[0]])} samples, not longer than a clip ({samples})",
            hint="set validation.folds lower, or leave it out in data.noise",
        )
    return pieces


def piece_folds(pieces: Pieces, folds: int) -> dict[str, int]:
    """Return, for each piece, the fold whose training leaves it out; each fold leaves out about as much."""
    return even_folds({name: len(piece) for name, piece in pieces.items()}, folds)


def write_silence(
    pieces: Pieces, name2fold: dict[str, int], count: int, folder: Path, samples: int, seed: int
) -> pl.DataFrame:
    """Write silence clips to a store, the same number for each fold.

    Args:
        samples: samples in a clip.
        seed: seed of excerpts, levels and sums.

    Returns:
        The columns of facts.parquet (kagglekit.data.ingest); the piece is the speaker.
    """
    rng = np.random.default_rng(seed)
    folds = sorted(set(name2fold.values()))
    rows: list[dict[str, Any]] = []
    with StoreWriter(folder, samples) as writer:
        for row in range(count):
            names = sorted(name for name, fold in name2fold.items() if fold == folds[row % len(folds)])
            clip, name = _silence_clip(pieces, names, samples, rng)
            clip_id = f"{WORD}/{row:05d}.wav"
            writer.add(clip_id, clip)
            rows.append(_fact(clip_id, name, row, clip))
    return pl.DataFrame(rows)


def _silence_clip(
    pieces: Pieces, names: list[str], samples: int, rng: np.random.Generator
) -> tuple[NDArray[np.int16], str]:
    name = names[rng.integers(len(names))]
    clip = _excerpt(pieces[name], samples, rng)
    if rng.random() < MIXED_SHARE:
        other = _excerpt(pieces[names[rng.integers(len(names))]], samples, rng)
        clip = clip + rng.random() * other
    level = 10 ** (rng.uniform(*LEVEL_DB) / 20) * 32768 * (rng.random() >= ZERO_SHARE)
    rms = float(np.sqrt(np.mean(clip**2)))
    scaled = clip * (level / max(rms, 1e-9))
    return np.clip(np.round(scaled), -32768, 32767).astype(np.int16), name


def _excerpt(piece: NDArray[np.int16], samples: int, rng: np.random.Generator) -> NDArray[np.float64]:
    start = int(rng.integers(len(piece) - samples))
    return piece[start : start + samples].astype(np.float64)


def _fact(clip_id: str, piece: str, row: int, clip: NDArray[np.int16]) -> dict[str, Any]:
    scaled = clip.astype(np.float64) / 32768
    return {
        "clip_id": clip_id,
        "path": "",
        "word": WORD,
        "speaker": f"noise:{piece}",
        "row": row,
        "samples": len(clip),
        "rms": float(np.sqrt(np.mean(scaled**2))),
        "peak": float(np.abs(scaled).max()),
        "sha1": hashlib.sha1(clip.tobytes()).hexdigest(),
        "problem": "",
        "flags": "",
        "rate": 0,  # of no file
        "message": "",
    }
