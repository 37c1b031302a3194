"""Time `look`, which takes a recording's length from its container, beside SHA-1 of the same bytes.

usage: python benchmarks/bench_look.py
"""

from __future__ import annotations

import hashlib
import io
import time
from collections.abc import Callable

import numpy as np
import soundfile

from kagglekit.config import Audio
from kagglekit.data.source_file import look

AUDIO = Audio(sample_rate=32_000, seconds=5.0, longer="windows", store="source")
SECONDS, TURNS = 40, 15


def fastest(call: Callable[[bytes], object], data: bytes) -> float:
    """Milliseconds of the fastest of several turns."""
    times = []
    for _ in range(TURNS):
        began = time.perf_counter()
        call(data)
        times.append(time.perf_counter() - began)
    return 1000 * min(times)


def main() -> None:
    noise = (0.1 * np.random.default_rng(0).standard_normal(AUDIO.sample_rate * SECONDS)).clip(-1, 1)
    for kind in ("OGG", "WAV", "FLAC", "MP3"):
        file = io.BytesIO()
        soundfile.write(file, noise.astype(np.float32), AUDIO.sample_rate, format=kind)
        data = file.getvalue()
        looked, hashed = fastest(lambda content: look(content, AUDIO), data), fastest(hashlib.sha1, data)
        print(f"{kind:4} {len(data):9,} bytes: look {looked:.2f} ms, of which SHA-1 {hashed:.2f} ms")


if __name__ == "__main__":
    main()
