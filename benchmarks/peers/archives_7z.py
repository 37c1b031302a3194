"""`7z x`, then soundfile over the wav files, then numpy: archives_7z.py TRAIN TEST"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
from serve import serve

SAMPLES = 16_000


def work() -> dict[str, float]:
    started, facts = time.perf_counter(), {"decompression": 0.0, "clips": 0.0, "sum": 0.0}
    with tempfile.TemporaryDirectory() as folder:
        for archive in sys.argv[1:]:
            subprocess.run(["7z", "x", "-y", f"-o{folder}", archive], stdout=subprocess.DEVNULL, check=True)
        facts["decompression"] = time.perf_counter() - started
        for split in ("train", "test"):
            paths = [p for p in Path(folder, split).rglob("*.wav") if p.parent.name != "_background_noise_"]
            clips = np.zeros((len(paths), SAMPLES), np.int16)
            for row, path in zip(clips, paths, strict=True):
                samples, _ = soundfile.read(path, dtype="int16")
                row[: len(samples)] = samples[:SAMPLES]
            np.save(Path(folder, f"{split}.npy"), clips)
            facts["clips"] += len(clips)
            facts["sum"] += float(clips.sum(dtype=np.int64))
    return facts


if __name__ == "__main__":
    serve(work, warm_up=False)
