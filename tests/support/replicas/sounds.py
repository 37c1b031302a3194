"""Sounds of classes, and their bytes in the formats that competitions have."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

Samples = NDArray[np.float64]
SUBTYPES = {"AIFF": "PCM_16", "WAV": "PCM_16", "FLAC": "PCM_16", "OGG": "VORBIS", "MP3": "MPEG_LAYER_III"}
"""Format of soundfile -> subtype."""
NOISE = 0.004


class Voices:
    """One tone for each class, spread over the mel scale, in a little noise.

    Args:
        rate: sample rate of the recordings in Hz.
    """

    def __init__(self, classes: Sequence[str], rate: int, rng: np.random.Generator) -> None:
        low, high = (2595 * np.log10(1 + hz / 700) for hz in (0.06 * rate / 2, 0.8 * rate / 2))
        mels = np.linspace(low, high, len(classes))
        self.hz = dict(zip(classes, 700 * (10 ** (mels / 2595) - 1), strict=True))
        self.rate = rate
        self.rng = rng

    def sound(self, classes: Sequence[str], seconds: float) -> Samples:
        """Return (samples,) in [-1, 1]: the tones of these classes, swelling and ebbing, and noise."""
        count = round(seconds * self.rate)
        time = np.arange(count) / self.rate
        mixed = self.rng.normal(0, NOISE, count)
        for name in classes:
            pitch = self.hz[name] * self.rng.uniform(0.99, 1.01)
            swell = 0.6 + 0.4 * np.sin(2 * np.pi * (3 * time + self.rng.uniform()))
            mixed += 0.5 / max(len(classes), 2) * swell * np.sin(2 * np.pi * pitch * time)
        return mixed.clip(-1, 1)

    def scene(self, parts: Sequence[Sequence[str]], seconds: float) -> Samples:
        """Return one sound after the other, each of `seconds`."""
        return np.concatenate([self.sound(classes, seconds) for classes in parts])


def encode(samples: Samples, rate: int, kind: str) -> bytes:
    """Return a mono audio file.

    Args:
        kind: a key of SUBTYPES.
    """
    buffer = io.BytesIO()
    with sf.SoundFile(buffer, "w", rate, 1, SUBTYPES[kind], format=kind) as file:
        for start in range(
            0, len(samples), rate
        ):  # libsndfile's Vorbis encoder overflows its stack otherwise
            file.write(samples[start : start + rate])
    return buffer.getvalue()


class Row(NamedTuple):
    """A row of a solution."""

    id: str
    labels: list[str]
    usage: str


def usage(number: int) -> str:
    """Return Public for one row in three, as Kaggle often does."""
    return "Private" if number % 3 else "Public"


def draw(rng: np.random.Generator, classes: Sequence[str], count: int) -> list[str]:
    """Return `count` classes in random order, each about equally often."""
    return [str(name) for name in rng.permutation([classes[i % len(classes)] for i in range(count)])]


def draw_sets(
    rng: np.random.Generator, classes: Sequence[str], count: int, most: int = 3, none: float = 0.0
) -> list[list[str]]:
    """Return `count` sets of 1 to `most` classes; about a share `none` of them is empty.

    Every class is in some set where there is room.
    """
    firsts = draw(rng, classes, count)
    sets = []
    for first in firsts:
        others = rng.choice(list(classes), rng.integers(0, most), replace=False)
        labels = [] if rng.uniform() < none else sorted({first, *map(str, others)}, key=list(classes).index)
        sets.append(labels[:most])
    return sets
