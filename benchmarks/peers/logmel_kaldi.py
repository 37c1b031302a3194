"""kaldi-native-fbank, clip by clip: logmel_kaldi.py CLIPS N_MELS WINDOW HOP N_FFT FMIN FMAX FLOOR"""

from __future__ import annotations

import sys

import kaldi_native_fbank
import numpy as np
from serve import serve

CLIPS = np.load(sys.argv[1])
MELS, WINDOW, HOP, _ = map(int, sys.argv[2:6])
FMIN, FMAX, _ = map(float, sys.argv[6:9])
OPTIONS = kaldi_native_fbank.FbankOptions()
OPTIONS.frame_opts.samp_freq = 16_000
OPTIONS.frame_opts.frame_length_ms = WINDOW / 16
OPTIONS.frame_opts.frame_shift_ms = HOP / 16
OPTIONS.frame_opts.window_type = "hann"
OPTIONS.frame_opts.dither = 0
OPTIONS.frame_opts.preemph_coeff = 0
OPTIONS.frame_opts.remove_dc_offset = False
OPTIONS.mel_opts.num_bins = MELS
OPTIONS.mel_opts.low_freq = FMIN
OPTIONS.mel_opts.high_freq = FMAX


def work() -> np.ndarray:
    made = []
    for clip in CLIPS:
        fbank = kaldi_native_fbank.OnlineFbank(OPTIONS)
        fbank.accept_waveform(16_000, clip.astype(np.float32) / 32768)
        fbank.input_finished()
        made.append(np.stack([fbank.get_frame(i) for i in range(fbank.num_frames_ready)]))
    return np.stack(made)


if __name__ == "__main__":
    serve(work)
