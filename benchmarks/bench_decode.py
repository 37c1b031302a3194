"""Decoding 5 s of 44.1 kHz Ogg and resampling it to 22.05 kHz, against soundfile and soxr alone.

    python benchmarks/bench_decode.py [--rounds N]

Both sides read the same bytes in memory, one file after the other, in one process. kagglekit also makes int16
of the samples, hashes the file, measures and flags the clip. What counts is the processor time of the
process, so that other work on the machine does not.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import soundfile
import soxr
from harness import Figure, Row, arguments, ratios, report, take_turns
from numpy.typing import NDArray

from kagglekit.config import Audio
from kagglekit.data.decode import decode

AUDIO = Audio(sample_rate=22_050, seconds=5.0)
RATE, SECONDS, FILES, PASSES = 44_100, 5, 20, 5


def ogg(seed: int, rate: int = RATE, seconds: float = SECONDS) -> bytes:
    """A file of Ogg Vorbis: gliding tones in noise."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(rate * seconds)) / rate
    glide = 2 * np.pi * (rng.uniform(300, 3000) + 200 * np.sin(rng.uniform(1, 5) * t)) * t
    waveform = (0.3 * np.sin(glide) + 0.03 * rng.standard_normal(len(t))).astype(np.float32)
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", rate, 1, format="OGG", subtype="VORBIS") as out:
        for start in range(0, len(waveform), 2**16):  # libvorbis crashes on a minute at once
            out.write(waveform[start : start + 2**16])
    return file.getvalue()


def peer(data: bytes) -> NDArray[np.float32]:
    """What a script of one's own would do: float32 samples."""
    waveform, rate = soundfile.read(io.BytesIO(data), dtype="float32")
    return np.asarray(soxr.resample(waveform, rate, AUDIO.sample_rate))


def main() -> None:
    args = arguments(__doc__.splitlines()[0])
    files = [ogg(seed) for seed in range(FILES)]

    def side(work: Callable[[bytes], Any]) -> Callable[[], float]:
        def one_round() -> float:
            started = time.process_time()
            for _ in range(PASSES):
                for data in files:
                    work(data)
            return (time.process_time() - started) / (PASSES * FILES)

        return one_round

    ours, theirs = decode(files[0], AUDIO).rows, 32_768 * peer(files[0])
    assert np.abs(ours - theirs).max() <= 0.51, "not the same samples"
    sides = {"kagglekit": side(lambda data: decode(data, AUDIO)), "peer": side(peer)}
    seconds = take_turns(sides, args.rounds)
    times = ratios(seconds["kagglekit"], seconds["peer"])
    figures = [
        Figure("processor time, to soundfile + soxr", times, most=1.1),
        Figure("kagglekit", [1e3 * s for s in seconds["kagglekit"]], "ms"),
        Figure("soundfile + soxr", [1e3 * s for s in seconds["peer"]], "ms"),
    ]
    remark = f"{FILES} files of {SECONDS} s, {PASSES} times a round; processor time of one process"
    report(Row("decode", "decode Ogg of 5 s, 44.1 to 22.05 kHz", "bench_decode.py", figures, [remark]))


if __name__ == "__main__":
    main()
