"""py7zr, then `datasets` with an Audio column, decoded and saved: archives_py7zr.py TRAIN TEST

Audio's own decoder needs torchcodec and with it ffmpeg; here its column gives the bytes, which soundfile
decodes.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import py7zr
import soundfile
from serve import serve

SAMPLES, WORKERS = 16_000, 2


def decode(batch: dict[str, Any]) -> dict[str, Any]:
    clips = np.zeros((len(batch["audio"]), SAMPLES), np.int16)
    for row, audio in zip(clips, batch["audio"], strict=True):
        source = audio["path"] if audio["bytes"] is None else io.BytesIO(audio["bytes"])
        samples, _ = soundfile.read(source, dtype="int16")
        row[: len(samples)] = samples[:SAMPLES]
    return {"samples": clips}


def work() -> dict[str, float]:
    facts = {"clips": 0.0}
    with tempfile.TemporaryDirectory() as folder:
        for archive in sys.argv[1:]:
            with py7zr.SevenZipFile(archive) as opened:
                opened.extractall(folder)
        for split in ("train", "test"):
            paths = [p for p in Path(folder, split).rglob("*.wav") if p.parent.name != "_background_noise_"]
            table = datasets.Dataset.from_dict({"audio": [str(path) for path in paths]})
            table = table.cast_column("audio", datasets.Audio(sampling_rate=16_000, decode=False))
            features = datasets.Features({"samples": datasets.List(datasets.Value("int16"), length=SAMPLES)})
            decoded = table.map(
                decode,
                batched=True,
                batch_size=256,
                num_proc=WORKERS,
                remove_columns=["audio"],
                features=features,
                cache_file_name=str(Path(folder, f"{split}.arrow")),
            )
            decoded.save_to_disk(Path(folder, f"{split}-store"), num_proc=WORKERS)
            facts["clips"] += len(decoded)
    return facts


if __name__ == "__main__":  # `map` starts processes that import this file
    datasets.disable_progress_bars()
    serve(work, warm_up=False)
