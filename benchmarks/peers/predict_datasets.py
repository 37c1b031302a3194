"""Log-mels and logits through datasets.map.

predict_datasets.py FOLDER CLIPS N_MELS WINDOW HOP N_FFT FMIN FMAX FLOOR
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
from serve import serve
from steps import build
from transformers.audio_utils import mel_filter_bank

BATCH = 256


def main() -> None:
    folder, clips = Path(sys.argv[1]), int(sys.argv[2])
    mels, window, hop, n_fft = map(int, sys.argv[3:7])
    fmin, fmax, floor = map(float, sys.argv[7:10])
    model, bf16 = build(folder).eval(), (folder / "bf16").exists()
    filters = mel_filter_bank(n_fft // 2 + 1, mels, fmin, fmax, 16_000, norm=None, mel_scale="htk")
    filters, hann = torch.from_numpy(filters).float(), torch.hann_window(window)
    datasets.disable_progress_bars()
    table = datasets.load_from_disk(str(folder / "store")).select(range(clips)).with_format("numpy")

    @torch.inference_mode()
    def step(batch: dict[str, Any]) -> dict[str, Any]:
        waveform = torch.from_numpy(batch["audio"]).float() / 32768
        power = torch.stft(waveform, n_fft, hop, window, hann, return_complex=True).abs() ** 2
        log_mel = (power.transpose(1, 2) @ filters + floor).log().transpose(1, 2)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            logits = model(log_mel)
        return {"logits": logits.float().numpy()}

    def work() -> np.ndarray:
        with tempfile.TemporaryDirectory() as made:
            cache = str(Path(made, "map.arrow"))
            predicted = table.map(
                step, batched=True, batch_size=BATCH, remove_columns=["audio"], cache_file_name=cache
            )
            predicted.to_parquet(str(Path(made, "test.parquet")))
            return np.asarray(predicted.with_format("numpy")["logits"][:])

    serve(work)


if __name__ == "__main__":
    main()
