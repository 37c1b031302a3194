"""audiomentations, clip after clip: augment_audiomentations.py CLIPS NOISE_FOLDER RATE SETTINGS

SETTINGS are the shares and limits of bench_waveforms.py as JSON. A band pass is drawn by its centre here, and
an equaliser has seven bands. Mixup, which audiomentations does not have, is NumPy's.
"""

from __future__ import annotations

import json
import sys

import audiomentations as am
import numpy as np
from serve import serve

CLIPS, RATE, SETTINGS = np.load(sys.argv[1]), int(sys.argv[3]), json.loads(sys.argv[4])
LOWPASS, HIGHPASS = SETTINGS["lowpass_hz"], SETTINGS["highpass_hz"]
GAIN, SNR, EQ = SETTINGS["gain_db"], SETTINGS["noise_snr_db"], 2 * SETTINGS["eq_db"]
CHAIN = am.Compose(
    [
        am.Gain(-GAIN, GAIN, p=1.0),
        am.AddBackgroundNoise(sys.argv[2], *SNR, p=SETTINGS["noise"]),
        am.PolarityInversion(p=SETTINGS["polarity"]),
        am.LowPassFilter(*LOWPASS, 12, 12, p=SETTINGS["lowpass"]),
        am.HighPassFilter(*HIGHPASS, 12, 12, p=SETTINGS["highpass"]),
        am.BandPassFilter(min_rolloff=12, max_rolloff=12, p=SETTINGS["bandpass"]),
        am.SevenBandParametricEQ(-EQ, EQ, p=SETTINGS["eq"]),
    ]
)
RNG = np.random.default_rng(0)


def work() -> np.ndarray:
    x = np.stack([CHAIN(clip, RATE) for clip in CLIPS])
    lam = RNG.beta(SETTINGS["mixup"], SETTINGS["mixup"], len(x)).astype(np.float32)[:, None]
    return lam * x + (1 - lam) * x[RNG.permutation(len(x))]


if __name__ == "__main__":
    serve(work)
