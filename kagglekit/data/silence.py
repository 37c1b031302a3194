"""Silence: clips cut from the noise recordings, so that silence is a word like any other.

Whole recordings belong to one fold, so a fold validates on noise that its training never saw. Where
there are fewer recordings than folds, parts of them do: never trained on, but of recordings that were.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kagglekit.data.store import StoreWriter
from kagglekit.errors import AudioError

VERSION = 1  # part of the key: raise it when the method changes
WORD = "_silence_"
LEVEL_DB = (-85.0, -10.0)
"""RMS of a cut, dB of full scale, uniform. Test clips without speech span about as much; the recordings
themselves are all near -45 dB."""
ZEROS = 0.03  # share of cuts that are digital silence
TWO = 0.3  # share of cuts that are a sum of two places

Pieces = dict[str, NDArray[np.int16]]


def pieces(recordings: Mapping[str, NDArray[np.int16]], folds: int, samples: int) -> Pieces:
    """Recordings, cut into parts where there are fewer than folds: `pink_noise#1` and so on.

    Raises:
        AudioError: there is no recording, or one part is shorter than a clip.
    """
    if not recordings:
        raise AudioError(
            "there are no noise recordings", hint="check data.noise_clips, or set labels.silence: null"
        )
    parts = -(-folds // len(recordings))
    made: Pieces = {}
    for name, recording in recordings.items():
        for index, piece in enumerate(np.array_split(recording, parts)):
            made[f"{name}#{index}" if parts > 1 else name] = piece
    short = [name for name, piece in made.items() if len(piece) <= samples]
    if short:
        raise AudioError(
            f"noise '{short[0]}' is {len(made[short[0]])} samples, not longer than a clip ({samples})",
            hint="set validation.folds lower, or leave it out in data.noise_clips",
        )
    return made


def piece_folds(made: Pieces, folds: int) -> dict[str, int]:
    """Fold whose training never hears a piece: pieces dealt so that lengths are even."""
    totals = [0] * folds
    chosen: dict[str, int] = {}
    for name, piece in sorted(made.items(), key=lambda item: (-len(item[1]), item[0])):
        fold = totals.index(min(totals))
        chosen[name] = fold
        totals[fold] += len(piece)
    return chosen


def cut(
    made: Pieces, fold_of: dict[str, int], count: int, folder: Path, samples: int, seed: int
) -> pl.DataFrame:
    """Write `count` silence clips to a store in `folder`, as many for each fold.

    Args:
        made: noise by name.
        fold_of: fold of each piece.
        count: clips to make.
        folder: where the store goes.
        samples: length of a clip.
        seed: of places, levels and sums.

    Returns:
        Facts with the columns of `ingest`: clip_id, word, speaker (the piece), row ...
    """
    rng = np.random.default_rng(seed)
    folds = sorted(set(fold_of.values()))
    rows: list[dict[str, Any]] = []
    with StoreWriter(folder, samples) as writer:
        for row in range(count):
            names = sorted(name for name, fold in fold_of.items() if fold == folds[row % len(folds)])
            clip, name = _one_cut(made, names, samples, rng)
            clip_id = f"{WORD}/{row:05d}.wav"
            writer.add(clip_id, clip)
            rows.append(_fact(clip_id, name, row, clip))
    return pl.DataFrame(rows)


def _one_cut(
    made: Pieces, names: list[str], samples: int, rng: np.random.Generator
) -> tuple[NDArray[np.int16], str]:
    name = names[rng.integers(len(names))]
    clip = _place(made[name], samples, rng)
    if rng.random() < TWO:
        other = _place(made[names[rng.integers(len(names))]], samples, rng)
        clip = clip + rng.random() * other
    level = 10 ** (rng.uniform(*LEVEL_DB) / 20) * 32768 * (rng.random() >= ZEROS)
    rms = float(np.sqrt(np.mean(clip**2)))
    scaled = clip * (level / max(rms, 1e-9))
    return np.clip(np.round(scaled), -32768, 32767).astype(np.int16), name


def _place(piece: NDArray[np.int16], samples: int, rng: np.random.Generator) -> NDArray[np.float64]:
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
    }
