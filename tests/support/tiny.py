"""A competition of a few dozen tones in Kaggle's shape, made in milliseconds, learnt in seconds."""

from __future__ import annotations

import io
import wave
import zipfile
from pathlib import Path

import numpy as np

RATE = 8000
WORDS = {"low": 300.0, "mid": 800.0, "high": 1600.0, "extra": 2400.0, "other": 3200.0}
"""Words and their tones, Hz; low and mid are targets, high, extra and other fillers."""
UNSEEN = {"strange": 1200.0}

YAML = """\
competition:
  slug: tiny
  host: local
  local: {files: host, solution: host/solution.csv, grading_seconds: 0}
data:
  train_archive: train.zip
  test_archive: test.zip
  sample_submission: sample_submission.csv
audio: {sample_rate: 8000, seconds: 0.5}
labels: {targets: [low, mid], filler: unknown, silence: silence, silence_share: 0.3}
validation:
  folds: 2
  prior: {silence: 0.2, unknown: 0.4}
features: {n_mels: 20, window_ms: 32, hop_ms: 16, fmin: 50, fmax: 3900}
train:
  epochs: 12
  batch_size: 8
  lr: 0.01
  ema: 0.8
  augment: {shift_ms: 20, time_mask: 2, freq_mask: 1, double_words: 0, noise: 0.2}
models:
  tcresnet: {model: {depth: 8}}
  convs2s: {model: {channels: 16, blocks: 2}}
  lstm: {model: {hidden: 16, layers: 1}}
  gru: {model: {hidden: 16, layers: 1}}
search: {trials: 3, epochs: 2, folds: 1}
ensemble: {rounds: 10, bags: 2}
"""


def wav_bytes(samples: np.ndarray, rate: int = RATE) -> bytes:
    """int16 samples -> a mono wav file."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())
    return buffer.getvalue()


def tone(hz: float, rng: np.random.Generator, seconds: float = 0.5) -> np.ndarray:
    """A burst of a tone in a little noise."""
    time = np.arange(round(seconds * RATE)) / RATE
    envelope = np.exp(-(((time - rng.uniform(0.2, 0.3)) / 0.08) ** 2))
    wave_ = 9000 * envelope * np.sin(2 * np.pi * hz * rng.uniform(0.97, 1.03) * time + rng.uniform(0, 6))
    return (wave_ + rng.normal(0, 60, len(time))).round()


def make(folder: Path, *, speakers: int = 8, test_clips: int = 24, seed: int = 0) -> Path:
    """Write host/ and competition.yaml into `folder`; the YAML's path."""
    rng = np.random.default_rng(seed)
    host = folder / "host"
    host.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(host / "train.zip", "w") as archive:
        for word, hz in WORDS.items():
            for speaker in range(speakers):
                name = f"train/audio/{word}/{speaker:08x}_nohash_0.wav"
                archive.writestr(name, wav_bytes(tone(hz, rng)))
        for index in range(2):
            noise = rng.normal(0, 300 * (index + 1), 4 * RATE)
            archive.writestr(f"train/audio/_background_noise_/noise_{index}.wav", wav_bytes(noise))
    answers: dict[str, str] = {}
    with zipfile.ZipFile(host / "test.zip", "w") as archive:
        spoken = {**WORDS, **UNSEEN}
        for index in range(test_clips):
            word = [*spoken, None][index % (len(spoken) + 1)]
            clip = rng.normal(0, 200, RATE // 2) if word is None else tone(spoken[word], rng)
            label = "silence" if word is None else word if word in ("low", "mid") else "unknown"
            name = f"clip_{index:04d}.wav"
            answers[name] = label
            archive.writestr(f"test/audio/{name}", wav_bytes(clip))
    rows = [
        f"{name},{label},{'Public' if i % 3 == 0 else 'Private'}"
        for i, (name, label) in enumerate(answers.items())
    ]
    (host / "solution.csv").write_text("fname,label,Usage\n" + "\n".join(rows) + "\n")
    sample = "".join(f"{name},silence\n" for name in answers)
    (host / "sample_submission.csv").write_text("fname,label\n" + sample)
    yaml = folder / "competition.yaml"
    yaml.write_text(YAML)
    return yaml
