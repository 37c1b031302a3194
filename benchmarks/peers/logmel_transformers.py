"""Log-mels by the functions under transformers' feature extractors.

logmel_transformers.py CLIPS N_MELS WINDOW HOP N_FFT FMIN FMAX FLOOR
"""

from __future__ import annotations

import sys

import numpy as np
from serve import serve
from transformers.audio_utils import mel_filter_bank, spectrogram_batch, window_function

BATCH = 250
CLIPS = np.load(sys.argv[1])
MELS, WINDOW, HOP, N_FFT = map(int, sys.argv[2:6])
FMIN, FMAX, FLOOR = map(float, sys.argv[6:9])
FILTERS = mel_filter_bank(N_FFT // 2 + 1, MELS, FMIN, FMAX, 16_000, norm=None, mel_scale="htk")
HANN = window_function(WINDOW, "hann", periodic=True, frame_length=N_FFT, center=True)


def work() -> np.ndarray:
    made = []
    for start in range(0, len(CLIPS), BATCH):
        waveforms = list(CLIPS[start : start + BATCH].astype(np.float32) / 32768)
        mels = spectrogram_batch(
            waveforms,
            HANN,
            N_FFT,
            HOP,
            fft_length=N_FFT,
            power=2.0,
            center=True,
            pad_mode="reflect",
            mel_filters=FILTERS,
        )
        made.append(np.log(np.stack(mels) + FLOOR))
    return np.concatenate(made)


if __name__ == "__main__":
    serve(work)
