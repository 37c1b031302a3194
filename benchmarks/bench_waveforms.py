"""Mixup, noise and filters on batches of waveforms, against audiomentations and a step of ResNet-18.

    python benchmarks/bench_waveforms.py [--rounds N]

64 clips of 5 s at 32 kHz; ResNet-18 trains on their log-mels of 128 bands and 313 frames.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile
import torch
from harness import THREADS, Figure, Peer, Row, arguments, rates, ratios, report, take_turns, timed

from kagglekit.config import Augment
from kagglekit.training.augment import DOMAINS
from kagglekit.training.augmenter import Augmenter, NoiseRecordings
from kagglekit.training.mixing import draw

CLIPS, RATE, SECONDS, NOISES = 64, 32_000, 5, 8
SETTINGS = Augment(
    shift_ms=0,
    noise=0.5,
    polarity=0.5,
    lowpass=0.3,
    highpass=0.3,
    bandpass=0.2,
    eq=0.3,
    mixup=0.5,
    lowpass_hz=(1500, 7500),
    highpass_hz=(50, 2400),
)
OURS, PEER, STEP = "kagglekit", "audiomentations", "a step of ResNet-18"


def main() -> None:
    args = arguments(__doc__.splitlines()[0])
    torch.set_num_threads(THREADS)
    rng = np.random.default_rng(0)
    clips = rng.normal(0, 0.1, (CLIPS, SECONDS * RATE)).astype(np.float32)
    noises = [rng.normal(0, 0.1, 3 * SECONDS * RATE).astype(np.float32) for _ in range(NOISES)]
    x, generator = torch.from_numpy(clips), torch.Generator().manual_seed(0)
    augmenter = Augmenter(
        SETTINGS, DOMAINS["waveform"], RATE, NoiseRecordings([torch.from_numpy(noise) for noise in noises])
    )

    batch = torch.empty_like(x)

    @torch.inference_mode()
    def ours() -> None:
        mixing = draw(CLIPS, SETTINGS, generator)
        assert mixing is not None
        batch.copy_(x)  # the augmenter changes it in place
        mixing.sounds(augmenter(batch, generator), SETTINGS, DOMAINS["waveform"], RATE)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.save(folder / "clips.npy", clips)
        (folder / "noise").mkdir()
        for number, noise in enumerate(noises):
            soundfile.write(folder / "noise" / f"{number}.wav", noise, RATE, subtype="FLOAT")
        inputs = (folder / "clips.npy", folder / "noise", RATE, json.dumps(SETTINGS.model_dump()))
        peers = {
            PEER: Peer("augment_audiomentations.py", *inputs),
            STEP: Peer("plain_resnet18.py", CLIPS, 128, 313, python=sys.executable),
        }
        ours()  # warm-up
        seconds = take_turns({OURS: lambda: timed(ours), **peers}, args.rounds)
        for peer in peers.values():
            peer.stop()
    mine = seconds.pop(OURS)
    figures = [
        Figure(f"as fast as {PEER}", ratios(seconds[PEER], mine), least=5),
        Figure(f"share of {STEP}", ratios(mine, seconds[STEP]), "", most=0.1),
        Figure(OURS, rates(CLIPS, mine), "clips/s"),
        *(Figure(side, rates(CLIPS, values), "clips/s") for side, values in seconds.items()),
    ]
    remarks = [
        f"batches of {CLIPS} clips of {SECONDS} s at {RATE:,} Hz; gain, noise, polarity, low, high and band "
        "pass, an equaliser and mixup, each for the same share of the clips; noise is in memory",
        f"{STEP}: forward, backward and AdamW on {CLIPS} x 128 x 313 in float32",
    ]
    report(Row("waveforms", "augmentation of waveforms", "bench_waveforms.py", figures, remarks))


if __name__ == "__main__":
    main()
