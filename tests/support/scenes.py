"""A competition of street scenes: several sounds in a clip, clips of any length, labels in a CSV."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from support import tiny

RATE = 8000
Sound = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def _bell(time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.sin(2 * np.pi * 900 * rng.uniform(0.97, 1.03) * time) * np.exp(-time / 0.15)


def _chirp(time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.sin(2 * np.pi * (1500 + 2000 * time) * time) * (time < 0.3)


def _hum(time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return sum(np.sin(2 * np.pi * 110 * k * time) / k for k in (1, 2, 3)) / 2


def _knock(time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return rng.normal(0, 0.5, len(time)) * (time % 0.12 < 0.02) * (time < 0.4)


SOUNDS: dict[str, Sound] = {"bell": _bell, "chirp": _chirp, "hum": _hum, "knock": _knock}

YAML = f"""\
competition:
  slug: street
  host: local
  local: {{files: host, solution: host/solution.csv, grading_seconds: 0}}
  metric: lwlrap
data:
  train_archive: train.zip
  test_archive: test.zip
  sample_submission: sample_submission.csv
  train_clips: train/*.wav
  test_clips: test/*.wav
  noise_clips: null
  label_table: {{file: train.csv, id: fname, label: labels, speaker: street, separator: ","}}
  speaker_pattern: null
audio: {{sample_rate: {RATE}, seconds: 0.5, longer: windows}}
labels: {{targets: [bell, chirp, hum, knock], filler: null, silence: null}}
validation: {{folds: 2}}
features: {{n_mels: 20, window_ms: 32, hop_ms: 16, fmin: 50, fmax: 3900}}
submission: {{id: fname}}
train:
  epochs: 12
  batch_size: 8
  lr: 0.01
  ema: 0.8
  augment: {{shift_ms: 20, time_mask: 2, freq_mask: 1}}
models:
  tcresnet: {{model: {{depth: 8}}}}
  gru: {{model: {{hidden: 16, layers: 1}}}}
search: {{trials: 2, epochs: 1, folds: 1}}
ensemble: {{rounds: 5}}
"""


def scene(names: list[str], seconds: float, rng: np.random.Generator, rate: int = RATE) -> np.ndarray:
    """Each sound once, at a random moment, in a little noise."""
    clip = rng.normal(0, 100, round(seconds * rate))
    for name in names:
        start = int(rng.uniform(0, 0.6) * len(clip))
        time = np.arange(len(clip) - start) / rate
        clip[start:] += 6000 * SOUNDS[name](time, rng)
    return clip.clip(-32768, 32767).round()


def make(
    folder: Path,
    *,
    clips: int = 64,
    test_clips: int = 24,
    seed: int = 0,
    rate: int = RATE,
    shares: Sequence[float] = (),
    noise: float = 0.0,
) -> Path:
    """Write host/ and competition.yaml into `folder`; the YAML's path.

    Args:
        shares: of the clips that have each sound; by default each clip has one to three of them.
        noise: standard deviation of further noise, by which sounds are drowned.
    """
    rng, host = np.random.default_rng(seed), folder / "host"
    host.mkdir(parents=True, exist_ok=True)

    def draw(archive: zipfile.ZipFile, split: str, index: int) -> tuple[str, str]:
        if shares:
            names = [sound for sound, share in zip(SOUNDS, shares, strict=True) if rng.uniform() < share]
        else:
            names = sorted(rng.choice(list(SOUNDS), rng.integers(1, 4), replace=False).tolist())
        name = f"{split}_{index:04d}.wav"
        sound = scene(names, float(rng.uniform(0.3, 2.2)), rng, rate)
        sound = (sound + rng.normal(0, noise, len(sound))).clip(-32768, 32767).round() if noise else sound
        archive.writestr(f"{split}/{name}", tiny.wav_bytes(sound, rate))
        return name, ",".join(names)

    train, solution = ["fname,labels,street"], ["fname,label,Usage"]
    sample = [",".join(("fname", *reversed(SOUNDS)))]  # the host's order of columns is its own
    with zipfile.ZipFile(host / "train.zip", "w") as archive:
        for index in range(clips):
            name, labels = draw(archive, "train", index)
            train.append(f'{name},"{labels}",street {index % 8}')
        archive.writestr("train.csv", "\n".join(train) + "\n")
    with zipfile.ZipFile(host / "test.zip", "w") as archive:
        for index in range(test_clips):
            name, labels = draw(archive, "test", index)
            solution.append(f'{name},"{labels}",{"Public" if index % 2 else "Private"}')
            sample.append(",".join((name, *["0"] * len(SOUNDS))))
    (host / "solution.csv").write_text("\n".join(solution) + "\n")
    (host / "sample_submission.csv").write_text("\n".join(sample) + "\n")
    yaml = folder / "competition.yaml"
    yaml.write_text(YAML)
    return yaml
