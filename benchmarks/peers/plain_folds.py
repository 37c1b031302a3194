"""Recordings through every fold's model by a plain loop in PyTorch: plain_folds.py RUN RECORDINGS

A loop for each model: soundfile, log-mels as torchaudio computes them (torch.stft, a matrix of filters, a
logarithm), the model, sigmoid; the mean of the models at the end.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from serve import serve

from kagglekit.config import Audio, Features
from kagglekit.features.logmel import FLOOR, geometry, mel_filters
from kagglekit.runs.store import load_fold


def main() -> None:
    run, folder = Path(sys.argv[1]), Path(sys.argv[2])
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    paths = sorted(folder.iterdir())
    models = [load_fold(path) for path in sorted(run.iterdir())]
    audio, spec = Audio(**models[0][2]["audio"]), Features(**models[0][2]["features"])
    window, hop, size = geometry(spec, audio.sample_rate)
    filters, hann = mel_filters(spec, audio.sample_rate).float(), torch.hann_window(window)

    def log_mel(waveform: torch.Tensor) -> torch.Tensor:
        spectrum = torch.stft(waveform, size, hop, window, hann, return_complex=True)
        return (filters.T @ spectrum.abs().square() + FLOOR).log()

    @torch.inference_mode()
    def work() -> Any:
        started = time.perf_counter()
        probs = []
        for model, _, _ in models:
            model.eval()
            rows = []
            for path in paths:
                waveform, _ = soundfile.read(path, dtype="float32")
                windows = torch.from_numpy(waveform[: len(waveform) // audio.samples * audio.samples])
                rows.append(model(log_mel(windows.view(-1, audio.samples))).sigmoid())
            probs.append(torch.cat(rows))
        mean = torch.stack(probs).double().mean(0).numpy()
        np.save(folder.with_name("plain_probs.npy"), mean)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        return {"seconds": time.perf_counter() - started, "peak_mb": peak}

    serve(work, warm_up=False)


if __name__ == "__main__":
    main()
