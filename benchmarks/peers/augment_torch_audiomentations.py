"""torch-audiomentations on a batch: augment_torch_audiomentations.py CLIPS NOISE_FOLDER RATE SETTINGS

It has no equaliser, and its noise, left out here, reads files for every clip. torchaudio, by which it reads
them, does not load beside this torch: modules without content stand in for it.
"""

from __future__ import annotations

import json
import sys
from types import ModuleType

import numpy as np
import torch
from serve import serve

sys.modules["torchaudio"] = ModuleType("torchaudio")
sys.modules["torchaudio.transforms"] = ModuleType("torchaudio.transforms")
import torch_audiomentations as ta  # noqa: E402

RATE, SETTINGS = int(sys.argv[3]), json.loads(sys.argv[4])
CLIPS = torch.from_numpy(np.load(sys.argv[1]))[:, None]
LOWPASS, HIGHPASS, GAIN = SETTINGS["lowpass_hz"], SETTINGS["highpass_hz"], SETTINGS["gain_db"]
COMMON = {"sample_rate": RATE, "output_type": "tensor"}
CHAIN = [
    ta.Gain(-GAIN, GAIN, p=1.0, **COMMON),
    ta.PolarityInversion(p=SETTINGS["polarity"], **COMMON),
    ta.LowPassFilter(*LOWPASS, p=SETTINGS["lowpass"], **COMMON),
    ta.HighPassFilter(*HIGHPASS, p=SETTINGS["highpass"], **COMMON),
    ta.BandPassFilter(p=SETTINGS["bandpass"], **COMMON),
]


@torch.inference_mode()
def work() -> np.ndarray:
    x = CLIPS
    for transform in CHAIN:
        x = transform(x)
    lam = torch.rand(len(x), 1, 1)
    made: np.ndarray = (lam * x + (1 - lam) * x[torch.randperm(len(x))])[:, 0].numpy()
    return made


if __name__ == "__main__":
    serve(work)
