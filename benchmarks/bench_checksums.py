"""The checksums of what an epoch reads: the processor time that they take, to that of the epoch.

    python benchmarks/bench_checksums.py [--rounds N] [--clips N]

Each round opens the files anew, so that every block is checked; a later epoch of the process checks none.
The small network trains as tcresnet does, on cached log-mels read in a random order. Without a network, clips
of a store of decoded audio are read in a random order.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from harness import Figure, Row, arguments, report
from torch.nn.functional import cross_entropy

from kagglekit import models
from kagglekit.data.store import StoreWriter, open_store
from kagglekit.features.cache import CheckedRows, cached_rows
from kagglekit.files import blocks
from kagglekit.files.atomic import building
from kagglekit.files.checksums import BLOCK, block_sums

MELS, FRAMES, SAMPLES, BATCH, CHUNK = 40, 101, 16_000, 64, 512


class Timed:
    """Sums up the processor time of `block_sums`."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self, data: Any) -> list[int]:
        started = time.process_time()
        sums = block_sums(data)
        self.seconds += time.process_time() - started
        return sums


def cache(folder: Path, clips: int) -> Path:
    """Write log-mels of noise."""
    rng = np.random.default_rng(0)
    batches = (rng.normal(size=(CHUNK, MELS, FRAMES)).astype(np.float32) for _ in range(clips // CHUNK))
    path = folder / "features" / "log_mel.npy"
    cached_rows(path, clips, batches, "noise")
    return path


def store(folder: Path, clips: int) -> Path:
    """Write a store of noise."""
    with building(folder / "audio", "audio") as part:
        assert part is not None
        with StoreWriter(part / "store", SAMPLES) as writer:
            rng = np.random.default_rng(0)
            for number in range(clips):
                writer.add(str(number), rng.integers(-9999, 9999, SAMPLES, np.int16))
    return folder / "audio" / "store"


def train(path: Path, clips: int) -> None:
    """Train an epoch."""
    rows = CheckedRows(path)
    model = models.build("tcresnet", {}, 12)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    for places in np.random.default_rng(1).permutation(clips).reshape(-1, BATCH):
        loss = cross_entropy(model(torch.from_numpy(rows[places])), torch.from_numpy(places % 12))
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()


def read(path: Path, clips: int) -> None:
    """Read all clips as float32."""
    opened = open_store(path)
    for places in np.random.default_rng(1).permutation(clips).reshape(-1, BATCH):
        torch.from_numpy(opened.take(places)).float().div_(32_768)


def share(work: Any, path: Path, clips: int) -> tuple[float, float]:
    """Return the checks' share of the processor time of some work, and GB/s of the checks."""
    blocks.block_sums = timed = Timed()
    started = time.process_time()
    work(path, clips)
    whole = time.process_time() - started
    blocks.block_sums = block_sums
    size = sum(file.stat().st_size for file in path.parent.rglob("*") if file.stat().st_size > BLOCK)
    return timed.seconds / whole, size / timed.seconds / 1e9


def main() -> None:
    args = arguments(__doc__.splitlines()[0], clips=4096)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        mels, audio = cache(Path(folder), args.clips), store(Path(folder), args.clips)
        trained = [share(train, mels, args.clips) for _ in range(args.rounds)]
        reading = [share(read, audio, args.clips) for _ in range(args.rounds)]
    figures = [
        Figure("checks, of the first epoch of tcresnet", [100 * each[0] for each in trained], "%", most=3),
        Figure("checks, of reading decoded audio alone", [100 * each[0] for each in reading], "%"),
        Figure("checks", [each[1] for each in trained], "GB/s"),
    ]
    remarks = [f"{args.clips:,} clips of a second, noise; later epochs check nothing; one thread"]
    row = Row("checksums", "check what an epoch reads", "bench_checksums.py", figures, remarks)
    report(row, keep=args.clips >= 4096)


if __name__ == "__main__":
    main()
