"""A competition's files in a folder that is mounted already, with its settings."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import py7zr
from numpy.typing import NDArray

from kagglekit.config.load import load_config
from kagglekit.files.workspace import Workspace
from support.sounds import encode

RATE = 1000
SAMPLE = "id,label\nt0.wav,cat\n"


def noise(seed: int, samples: int = 100) -> NDArray[np.int16]:
    return np.random.default_rng(seed).integers(-9000, 9000, samples).astype(np.int16)


def wav(seed: int, samples: int = 100, rate: int = RATE) -> bytes:
    """A 16-bit file of the noise of a seed."""
    return encode(noise(seed, samples).astype(np.float32) / 32768, rate, "WAV", "PCM_16")


def pack(path: Path, files: Mapping[str, bytes | str], kind: str = "7z") -> Path:
    """Write an archive of these members, whatever its name says."""
    contents = {name: data.encode() if isinstance(data, str) else data for name, data in files.items()}
    if kind == "7z":
        with py7zr.SevenZipFile(path, "w") as archive:
            for name, data in contents.items():
                archive.writestr(data, name)
    else:
        with zipfile.ZipFile(path, "w") as zipped:
            for name, data in contents.items():
                zipped.writestr(name, data)
    return path


def write(folder: Path, files: Mapping[str, bytes | str]) -> None:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)


def dataset(
    root: Path, files: Mapping[str, bytes | str], train: object, **sections: Mapping[str, Any]
) -> Workspace:
    """Return the workspace of a competition with these files.

    Args:
        root: the folder for competition.yaml; the files are written to its folder `host`.
        files: path to content. A test recording and a sample submission come with them.
        train: data.train.
        sections: sections of competition.yaml; `data` is joined with the files'.
    """
    write(root / "host", {"sample.csv": SAMPLE, "test/t0.wav": wav(99), **files})
    data = {"sample": "sample.csv", "mounted": "host", "test": {"files": "test/*.wav"}}
    multi = sections.get("labels", {}).get("kind") == "multi"
    settings: dict[str, Any] = {
        "competition": {"slug": "tiny", "metric": "lwlrap" if multi else "accuracy"},
        "audio": {"sample_rate": RATE, "seconds": 0.1},
        "features": {"fmax": 500},
        "labels": {"classes": "from_labels"},
        "submission": {"shape": "probabilities" if multi else "label", "id": "id"},
        "validation": {"folds": 2},
        **sections,
    }
    settings["data"] = {**data, **sections.get("data", {}), "train": train}
    (root / "competition.yaml").write_text(json.dumps(settings), encoding="utf-8")
    return Workspace(load_config(root / "competition.yaml"))
