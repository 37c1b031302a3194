"""librosa's log-mels, a batch at a time: logmel_librosa.py CLIPS N_MELS WINDOW HOP N_FFT FMIN FMAX FLOOR"""

from __future__ import annotations

import sys

import librosa
import numpy as np
from serve import serve

BATCH = 250
CLIPS = np.load(sys.argv[1])
MELS, WINDOW, HOP, N_FFT = map(int, sys.argv[2:6])
FMIN, FMAX, FLOOR = map(float, sys.argv[6:9])


def work() -> np.ndarray:
    made = []
    for start in range(0, len(CLIPS), BATCH):
        mel = librosa.feature.melspectrogram(
            y=CLIPS[start : start + BATCH].astype(np.float32) / 32768,
            sr=16_000,
            n_fft=N_FFT,
            hop_length=HOP,
            win_length=WINDOW,
            pad_mode="reflect",
            n_mels=MELS,
            fmin=FMIN,
            fmax=FMAX,
            htk=True,
            norm=None,
        )
        made.append(np.log(mel + FLOOR))
    return np.concatenate(made)


if __name__ == "__main__":
    serve(work)
