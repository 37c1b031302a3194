"""A tiny competition in the exact shape of each of the eighteen that kagglekit ships a competition.yaml for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kagglekit import competitions
from kagglekit.config.yaml_file import dump, parse
from support.replicas import birds_2013, others, soundscapes, tagging, whales
from support.replicas.host import HostFolder

MAKERS: dict[str, Callable[[HostFolder], None]] = {
    "whale-2013": whales.whale_2013,
    "whale-redux-2013": whales.whale_redux_2013,
    "mlsp-2013-birds": birds_2013.mlsp_2013,
    "icml-2013-birds": birds_2013.icml_2013,
    "nips-2013-birds": birds_2013.nips_2013,
    "speech-commands-2017": tagging.speech_2017,
    "freesound-2018": tagging.freesound_2018,
    "freesound-2019": tagging.freesound_2019,
    "birdsong-2020": soundscapes.birdsong_2020,
    "rfcx-2021": others.rfcx_2021,
    "birdclef-2021": soundscapes.birdclef_2021,
    "birdclef-2022": soundscapes.birdclef_2022,
    "birdclef-2023": soundscapes.birdclef_2023,
    "birdclef-2024": soundscapes.birdclef_2024,
    "birdclef-2025": soundscapes.birdclef_2025,
    "birdclef-2026": soundscapes.birdclef_2026,
    "music-genres-2022": others.music_2022,
    "indic-tts-2025": others.indic_2025,
}
SMALL: dict[str, Any] = {
    "competition": {
        "host": "local",
        "local": {"files": "host", "solution": "solution.csv", "grading_seconds": 0},
    },
    "validation": {"folds": 2},
    "features": {"n_mels": 32},
    "train": {"epochs": 2, "batch_size": 4, "lr": 0.01, "ema": 0.5},
    "models": {"tcresnet": {"model": {"depth": 8}}},
    "jobs": 1,
}
"""What a replica's competition.yaml has beside the shipped one: the host, and settings for a small training."""


def make_replica(name: str, folder: Path) -> Path:
    """Write the competition's files into folder/host, and return the path of its competition.yaml."""
    MAKERS[name](HostFolder(folder))
    return small(name, folder)


def small(name: str, folder: Path) -> Path:
    """Write a competition.yaml like the shipped one, with settings for a small training, and return its path."""
    path = folder / "competition.yaml"
    _, shipped = parse(competitions.read(name))
    path.write_text(dump(_overlaid(shipped, SMALL)), encoding="utf-8")
    return path


def _overlaid(base: dict[str, Any], layer: Mapping[str, Any]) -> dict[str, Any]:
    """Return sections with those of a layer, which win."""
    merged = dict(base)
    for key, value in layer.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _overlaid(merged[key], value) if both else value
    return merged
