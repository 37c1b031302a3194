"""Log-mel of one-second clips: ours against torch.stft in one run, and both against float64.

    python benchmarks/bench_logmel.py

Clips are the prepared speech-mini workspace's where it is there, noise otherwise. Also the peak memory of
the feature stage over N and 4 N clips, each in a process of its own: it must not grow.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from kagglekit import console
from kagglekit.config import Audio, Features
from kagglekit.data.store import StoreWriter, open_store
from kagglekit.features.cache import log_mel_cache
from kagglekit.features.logmel import FLOOR, FULL_SCALE, geometry, log_mel, mel_filters

SPEC, AUDIO, CLIPS, ROUNDS = Features(), Audio(), 2000, 5


def clips() -> torch.Tensor:
    """(clips, samples) int16."""
    stores = sorted(Path(__file__).with_name(".kagglekit").glob("audio/test-*/store"))
    if stores:
        return torch.tensor(open_store(stores[0])[:CLIPS])
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.normal(0, 3000, (CLIPS, AUDIO.samples)).astype(np.int16))


def stft_log_mel(waveform: torch.Tensor) -> torch.Tensor:
    """The same by torch.stft, batched by 250 as one would write it."""
    window, hop, size = geometry(SPEC, AUDIO.sample_rate)
    filters = mel_filters(SPEC, AUDIO.sample_rate).float()
    hann = torch.hann_window(window)
    parts = []
    for start in range(0, len(waveform), 250):
        block = waveform[start : start + 250].float() / FULL_SCALE
        power = torch.stft(block, size, hop, window, hann, return_complex=True).abs() ** 2
        parts.append((power.transpose(1, 2) @ filters + FLOOR).log().transpose(1, 2))
    return torch.cat(parts)


def rate(function: Callable[[torch.Tensor], torch.Tensor], waveform: torch.Tensor) -> float:
    """Clips a second."""
    started = time.perf_counter()
    function(waveform)
    return len(waveform) / (time.perf_counter() - started)


def peak_megabytes(count: int) -> float:
    """Peak memory of a process that fills the cache for `count` clips."""
    done = subprocess.run([sys.executable, __file__, str(count)], capture_output=True, text=True, check=True)
    return float(done.stdout)


def fill(count: int) -> None:
    """Make a store of `count` clips and its features; print the peak memory in MB."""
    console.configure(quiet=True)
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        with StoreWriter(Path(folder, "store"), AUDIO.samples) as writer:
            for index in range(count):
                writer.add(str(index), rng.integers(-3000, 3000, AUDIO.samples, dtype=np.int16))
        log_mel_cache(Path(folder), open_store(Path(folder, "store")), "key", SPEC, AUDIO, "bench")
    unit = 1e6 if sys.platform == "darwin" else 1e3  # bytes on macOS, kB on Linux
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit)


def main() -> None:
    """Measure."""
    waveform = clips()
    peers = {"ours": lambda x: log_mel(x, SPEC, AUDIO.sample_rate), "torch.stft": stft_log_mel}
    rates: dict[str, list[float]] = {name: [] for name in peers}
    for function in peers.values():
        rate(function, waveform[:500])  # warm-up
    for _ in range(ROUNDS):
        for name, function in peers.items():
            rates[name].append(rate(function, waveform))
    median = {name: statistics.median(values) for name, values in rates.items()}
    exact = log_mel(waveform[:500].double(), SPEC, AUDIO.sample_rate)
    errors = {name: float((f(waveform[:500]) - exact).abs().max()) for name, f in peers.items()}
    memory = {count: peak_megabytes(count) for count in (CLIPS, 4 * CLIPS)}
    for name, value in median.items():
        low, high = min(rates[name]), max(rates[name])
        print(f"{name}: {value:,.0f} clips/s ({low:,.0f} to {high:,.0f}), largest error {errors[name]:.1e}")
    print(f"ratio {median['ours'] / median['torch.stft']:.2f}")
    print("peak memory " + ", ".join(f"{count:,} clips {mb:.0f} MB" for count, mb in memory.items()))
    print(json.dumps({"clips_per_s": median, "error": errors, "peak_mb": memory}))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        fill(int(sys.argv[1]))
    else:
        main()
