"""Bird calls with a planted domain shift: learnt from close, clean recordings, judged far off at other sites.

    PYTHONPATH=tests python -m support.replicas.unseen_sites FOLDER

writes FOLDER/host and FOLDER/solution.csv in the shape of BirdCLEF 2024 and 2025: recordings of single birds by many
authors (`train_audio`), soundscapes of a minute without labels (`train_soundscapes`), and those of the test, of whose
sites half are in no other recording.

Species come in families of one kind of call (chirps, trills, sweeps, whistles) at neighbouring pitches. In a
soundscape birds are far away: their calls lose treble, echo, overlap, and drown in coloured noise of the site.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve, lfilter

from support.replicas.host import HostFolder, csv_text
from support.replicas.sounds import encode, usage
from support.replicas.soundscapes import EVERY, METADATA, metadata

RATE = 16_000
KINDS = ("chirp", "trill", "sweep", "whistle")
ECHO_S = 0.25
SOUNDSCAPE_S = 60
PREFIX = {"train": "U", "test": "T"}
Samples = NDArray[np.float64]


class Size(NamedTuple):
    """How much is written; the defaults train in a minute or two on a core."""

    species: int = 12
    recordings: int = 20
    """Of each species."""
    seconds: tuple[float, float] = (5.0, 15.0)
    """Shortest and longest recording."""
    authors: int = 40
    unlabelled: int = 60
    """Soundscapes of a minute without labels."""
    tested: int = 40
    """Soundscapes of a minute in the test."""
    sites: int = 8
    """Of the soundscapes without labels, and as many of the test, half of them the same."""


FULL = Size()


class Species(NamedTuple):
    """How a species calls."""

    kind: str
    hz: float
    beat: float
    """Notes a second of a trill, or rises a second of the others."""
    bend: float
    """Octaves that a note rises, or falls where it is negative."""


def species_of(count: int, rng: np.random.Generator) -> dict[str, Species]:
    """Draw species: neighbours in pitch differ by a quarter of an octave, and in the kind of their calls."""
    drawn = {}
    for number in range(count):
        hz = 1300 * 2 ** (1.9 * number / max(count - 1, 1))
        kind = KINDS[number % len(KINDS)]
        bend = float(rng.choice([-1, 1]) * rng.uniform(0.25, 0.5))
        drawn[f"spec{number:02d}"] = Species(kind, hz, float(rng.uniform(9, 18)), bend)
    return drawn


def call(species: Species, rng: np.random.Generator) -> Samples:
    """Return one call of an individual, (samples,), with a peak near 1."""
    hz = species.hz * 2 ** rng.normal(0, 0.05)
    seconds = rng.uniform(0.35, 0.8) * (1.4 if species.kind == "trill" else 1.0)
    time = np.arange(round(seconds * RATE)) / RATE
    phase, beat = time / seconds, species.beat * rng.uniform(0.85, 1.15)
    octaves = {
        "chirp": species.bend * ((beat / 3 * time) % 1.0),
        "trill": 0.12 * np.sin(2 * np.pi * beat * time),
        "sweep": 2 * species.bend * phase,
        "whistle": 0.3 * species.bend * np.sin(np.pi * phase),
    }[species.kind]
    pitch = 2 * np.pi * np.cumsum(hz * 2**octaves) / RATE
    wave = np.sin(pitch) + rng.uniform(0.05, 0.3) * np.sin(2 * pitch)
    gate = 0.5 + 0.5 * np.sin(2 * np.pi * beat * time) if species.kind in ("trill", "chirp") else 1.0
    edge = np.minimum(1, np.minimum(phase, 1 - phase) / 0.1)
    return wave * edge * gate


def song(species: Species, seconds: float, rng: np.random.Generator, pause: float) -> Samples:
    """Return calls of one individual, `pause` seconds apart in the mean."""
    out, place = np.zeros(round(seconds * RATE)), rng.exponential(pause / 2)
    while place < seconds - 0.2:
        one = call(species, rng)
        first = round(place * RATE)
        one = one[: len(out) - first]
        out[first : first + len(one)] += one * rng.uniform(0.7, 1.0)
        place += len(one) / RATE + rng.exponential(pause)
    return out


class Site:
    """The noise and the echo of a place."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.slope = rng.uniform(0.6, 0.97)
        self.insects = rng.uniform(1800, 7000, rng.integers(1, 4))
        self.insect_level = rng.uniform(0.3, 1.5, len(self.insects))
        self.beat = rng.uniform(4, 40, len(self.insects))
        self.echo = rng.normal(size=round(ECHO_S * RATE)) * np.exp(
            -np.arange(round(ECHO_S * RATE)) / (RATE * rng.uniform(0.02, 0.06))
        )
        self.echo *= rng.uniform(0.3, 1.0) / np.sqrt(np.square(self.echo).sum())
        self.echo[0] += 1
        self.treble = rng.uniform(0.2, 0.6)

    def noise(self, seconds: float, rng: np.random.Generator) -> Samples:
        """Return wind, the insects of the site, and clatter, with a mean square of 1."""
        count = round(seconds * RATE)
        time = np.arange(count) / RATE
        noise = lfilter([1 - self.slope], [1, -self.slope], rng.normal(size=count))
        noise /= noise.std()
        noise *= 1 + 0.5 * np.sin(2 * np.pi * rng.uniform(0.05, 0.3) * time + rng.uniform(0, 6))
        for hz, level, beat in zip(self.insects, self.insect_level, self.beat, strict=True):
            band = np.interp(
                time,
                np.arange(0, seconds + 0.02, 0.01),
                rng.normal(size=len(np.arange(0, seconds + 0.02, 0.01))),
            )
            swell = np.clip(np.sin(2 * np.pi * beat * time + rng.uniform(0, 6)), 0, 1)
            noise += level * swell * np.sin(2 * np.pi * hz * time + 3 * np.cumsum(band) / 20)
        for _ in range(rng.poisson(seconds / 10)):  # a branch, a drop of rain
            first, length = rng.integers(0, count - 800), rng.integers(80, 800)
            noise[first : first + length] += rng.normal(0, 4, length) * np.exp(-np.arange(length) / 150)
        return noise / noise.std()

    def far(self, sound: Samples) -> Samples:
        """Return a sound as it is heard from far away: less treble, with an echo."""
        dull = lfilter([1 - self.treble], [1, -self.treble], sound)
        return fftconvolve(dull, self.echo)[: len(sound)]


def focal(
    calling: list[Species], seconds: float, author: np.random.Generator, rng: np.random.Generator
) -> Samples:
    """Return a recording of the first species, close by, by an author's microphone; the others are behind it."""
    sound, *others = (song(one, seconds, rng, pause=0.5) for one in calling)
    sound += sum(0.1 * other for other in others)
    ear = author.uniform(0.0, 0.4)
    hiss = rng.normal(size=len(sound)) * 10 ** (-author.uniform(25, 45) / 20)
    sound = lfilter([1 - ear], [1, -ear], sound) + hiss
    return 0.5 * sound / np.abs(sound).max()


def soundscape(
    species: dict[str, Species], present: list[list[str]], site: Site, rng: np.random.Generator
) -> Samples:
    """Return a soundscape whose windows have these species."""
    total = np.zeros(len(present) * EVERY * RATE)
    for number, names in enumerate(present):
        for name in names:
            heard = site.far(song(species[name], EVERY - 0.3, rng, pause=1.2))
            power = np.square(heard).mean() + 1e-9
            heard *= 10 ** (rng.uniform(-16, 0) / 20) / np.sqrt(power)
            first = number * EVERY * RATE
            total[first : first + len(heard)] += heard
    total += site.noise(len(total) / RATE, rng)
    return 0.7 * total / np.abs(total).max()


def presences(names: list[str], windows: int, rng: np.random.Generator) -> list[list[str]]:
    """Draw the species of each window: a few live here, and call for some windows on end."""
    local = rng.choice(names, min(4, len(names)), replace=False)
    windows_of = {name: np.zeros(windows, bool) for name in local}
    for name in local:
        for _ in range(rng.integers(1, 3)):
            first = rng.integers(0, windows)
            windows_of[name][first : first + rng.integers(1, 4)] = True
    return [[name for name in names if name in windows_of and windows_of[name][i]] for i in range(windows)]


def make(folder: Path, size: Size = FULL, seed: int = 0) -> None:
    """Write host/ and solution.csv into a folder."""
    host = HostFolder(folder, seed)
    rng = host.rng
    species = species_of(size.species, rng)
    names = list(species)
    rows, number = [], 0
    for name in names:
        for _ in range(size.recordings):
            author, number = int(rng.integers(size.authors)), number + 1
            behind = [str(rng.choice([one for one in names if one != name]))] if number % 4 == 0 else []
            calling = [species[one] for one in (name, *behind)]
            sound = focal(calling, rng.uniform(*size.seconds), np.random.default_rng([seed, author]), rng)
            file = f"{name}/XC{100_000 + 37 * number}.ogg"
            host.file(f"train_audio/{file}", encode(sound, RATE, "OGG"))
            values = [
                name,
                str(behind),
                "['call']",
                0.0,
                0.0,
                name,
                name,
                f"author {author}",
                "CC BY 4.0",
                4.0,
                "",
                file,
            ]
            rows.append(dict(zip(METADATA, values, strict=True)))
    metadata(host, "train.csv", rows)
    places = [Site(np.random.default_rng([seed, 1, place])) for place in range(size.sites * 3 // 2)]
    windows = SOUNDSCAPE_S // EVERY
    answers: dict[str, list[tuple[str, list[str]]]] = {"train": [], "test": []}
    for part, count, first in (("train", size.unlabelled, 0), ("test", size.tested, size.sites // 2)):
        for minute in range(count):
            place = first + minute % size.sites
            present = presences(names, windows, rng)
            stem = f"{PREFIX[part]}{minute:04d}_S{place:02d}"
            content = encode(soundscape(species, present, places[place], rng), RATE, "OGG")
            host.file(f"{part}_soundscapes/{stem}.ogg", content)
            answers[part] += [(f"{stem}_{EVERY * (i + 1)}", some) for i, some in enumerate(present)]
    sample = [(row_id, *[1 / len(names)] * len(names)) for row_id, _ in answers["test"]]
    host.table("sample_submission.csv", ["row_id", *names], sample)
    marked = [
        (row_id, *(int(name in some) for name in names), usage(place // windows))
        for place, (row_id, some) in enumerate(answers["test"])
    ]
    host.solution(["row_id", *names], marked)
    truth = [(row_id, *(int(name in some) for name in names)) for row_id, some in answers["train"]]
    (folder / "unlabelled_truth.csv").write_text(csv_text(["row_id", *names], truth), encoding="utf-8")


if __name__ == "__main__":
    make(Path(sys.argv[1]))
