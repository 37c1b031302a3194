"""Log-mel of one-second clips with 40 bands: ours against what else computes them.

    python benchmarks/bench_logmel.py [--rounds N]

Clips are those of the prepared speech-mini workspace, noise where there is none.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch
from harness import (
    HERE,
    THREADS,
    Figure,
    Peer,
    Row,
    arguments,
    best_of,
    rates,
    ratios,
    report,
    take_turns,
    timed,
)

from kagglekit.config import Audio, Features
from kagglekit.data.store import open_store
from kagglekit.features.logmel import FLOOR, FULL_SCALE, geometry, log_mel, mel_filters

SPEC, AUDIO, CLIPS, COMPARED, BATCH = Features(), Audio(), 2000, 500, 250
TOLERANCE = 1e-4


def clips() -> torch.Tensor:
    """(clips, samples) int16."""
    stores = sorted(HERE.glob(".kagglekit/audio/test-*/store"))
    if stores:
        return torch.tensor(open_store(stores[0])[:CLIPS])
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.normal(0, 3000, (CLIPS, AUDIO.samples)).astype(np.int16))


def stft_log_mel(waveform: torch.Tensor) -> torch.Tensor:
    """The same by torch.stft, batched as one would write it."""
    window, hop, size = geometry(SPEC, AUDIO.sample_rate)
    filters = mel_filters(SPEC, AUDIO.sample_rate).float()
    hann = torch.hann_window(window)
    parts = []
    for start in range(0, len(waveform), BATCH):
        block = waveform[start : start + BATCH].float() / FULL_SCALE
        power = torch.stft(block, size, hop, window, hann, return_complex=True).abs() ** 2
        parts.append((power.transpose(1, 2) @ filters + FLOOR).log().transpose(1, 2))
    return torch.cat(parts)


def main() -> None:
    args = arguments(__doc__.splitlines()[0])
    torch.set_num_threads(THREADS)
    waveform = clips()
    settings = (SPEC.n_mels, *geometry(SPEC, AUDIO.sample_rate), SPEC.fmin, SPEC.fmax, FLOOR)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "clips.npy")
        np.save(source, waveform.numpy())
        peers = {
            "librosa": Peer("logmel_librosa.py", source, *settings),
            "transformers": Peer("logmel_transformers.py", source, *settings),
            "kaldi-native-fbank": Peer("logmel_kaldi.py", source, *settings),
        }
        ours, by_stft = (
            lambda: log_mel(waveform, SPEC, AUDIO.sample_rate),
            lambda: stft_log_mel(waveform),
        )
        sides = {"kagglekit": lambda: timed(ours), "torch.stft": lambda: timed(by_stft), **peers}
        ours(), by_stft()  # warm-up
        seconds = take_turns(sides, args.rounds)
        exact = log_mel(waveform[:COMPARED].double(), SPEC, AUDIO.sample_rate).numpy()
        made = {name: peer.result(Path(folder, "made.npy"))[:COMPARED] for name, peer in peers.items()}
        for peer in peers.values():
            peer.stop()
    made |= {"kagglekit": ours().numpy()[:COMPARED], "torch.stft": by_stft().numpy()[:COMPARED]}
    del made["kaldi-native-fbank"]  # other frames, no padding at the ends: a speed to compare, no value
    errors = {name: float(np.abs(values - exact).max()) for name, values in made.items()}
    mine = seconds.pop("kagglekit")
    best = best_of(seconds)
    figures = [
        Figure("kagglekit", rates(CLIPS, mine), "clips/s", least=8000),
        Figure("as fast as the best peer", ratios(seconds[best], mine), least=1.6, instead_of="kagglekit"),
        *(Figure(name, rates(CLIPS, values), "clips/s") for name, values in seconds.items()),
        *(
            Figure(
                f"largest error of {name}",
                [error] * args.rounds,
                "",
                most=TOLERANCE if name == "kagglekit" else None,
            )
            for name, error in errors.items()
        ),
    ]
    remarks = [
        f"{CLIPS:,} clips; errors against float64 from end to end; the best peer is {best}",
        "kaldi-native-fbank cuts 98 other frames and has no batches; its values are not compared",
    ]
    report(Row("logmel", "log-mel 40 of all clips", "bench_logmel.py", figures, remarks))


if __name__ == "__main__":
    main()
