"""22 hours of Ogg in a store of files: made, against a copy with a hash; read, against a DataLoader.

    python benchmarks/bench_source.py [--rounds N] [--recordings N]

The archive is a zip of recordings of 40 s at 32 kHz. The peer of `prepare` copies it and computes its SHA-1;
that of training reads as many windows of 5 s at random places from loose files, by a torch DataLoader with
two workers and soundfile. Fewer recordings than 2,000 are a look, and nothing is written.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import torch
from bench_decode import ogg
from harness import (
    Figure,
    Peer,
    Row,
    arguments,
    own_memory,
    processor_seconds,
    ratios,
    report,
    take_turns,
    timed,
)

from kagglekit.config import Audio
from kagglekit.data.source_file import SourceFile, look
from kagglekit.data.source_store import Excerpt, SourceWriter
from kagglekit.data.store import DATA_FILE, open_store
from kagglekit.parallel.in_order import InOrder

RATE, SECONDS, WINDOW, DISTINCT, BATCH = 32_000, 40.0, 5.0, 40, 32
AUDIO = Audio(sample_rate=RATE, seconds=WINDOW, longer="windows")


def generate(folder: Path, count: int) -> Path:
    """Write the recordings, loose in `loose/` and in a zip; return the zip."""
    (folder / "loose").mkdir()
    distinct = [ogg(seed, RATE, SECONDS) for seed in range(DISTINCT)]
    archive = folder / "train.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as out:
        for number in range(count):
            data, name = distinct[number % DISTINCT], f"{number:05}.ogg"
            (folder / "loose" / name).write_bytes(data)
            out.writestr(name, data)
    return archive


def prepare(archive: Path, folder: Path) -> None:
    """Make a store of the archive's recordings."""
    with zipfile.ZipFile(archive) as members, SourceWriter(folder, AUDIO) as writer:

        def work(item: tuple[str, bytes]) -> tuple[str, SourceFile]:
            return item[0], look(item[1], AUDIO)

        def done(result: tuple[str, SourceFile]) -> None:
            writer.add(*result, [Excerpt(result[0])])

        with InOrder(work, done) as items:
            for member in members.infolist():
                items.put((member.filename, members.read(member)), member.file_size)


def copy_and_hash(source: Path, target: Path) -> None:
    """What fetch does with a file that lies on this machine."""
    digest = hashlib.sha1(usedforsecurity=False)
    with source.open("rb") as file, target.open("wb") as out:
        while block := file.read(2**20):
            digest.update(block)
            out.write(block)
        out.flush()
        os.fsync(out.fileno())


def measure(folder: Path, rounds: int, count: int) -> list[Figure]:
    archive, memory = generate(folder, count), []

    def ours() -> float:
        shutil.rmtree(folder / "store", ignore_errors=True)
        with own_memory() as peak:
            seconds = timed(lambda: prepare(archive, folder / "store"))
        memory.extend(peak)
        return seconds

    making = take_turns(
        {"kagglekit": ours, "copy": lambda: timed(lambda: copy_and_hash(archive, folder / "copy.zip"))},
        rounds,
    )
    size = (folder / "store" / DATA_FILE).stat().st_size / archive.stat().st_size
    store, rng, reading_memory = open_store(folder / "store"), np.random.default_rng(0), []

    def read() -> None:
        order = rng.integers(len(store), size=count)
        for batch in store.waveforms(order[start : start + BATCH] for start in range(0, count, BATCH)):
            torch.from_numpy(batch)

    processor: dict[str, list[float]] = {"kagglekit": [], "loader": []}

    def ours_reading() -> float:
        before = processor_seconds(os.getpid())
        with own_memory() as peak:
            seconds = timed(read)
        processor["kagglekit"].append(processor_seconds(os.getpid()) - before)
        reading_memory.extend(peak)
        return seconds

    read()  # both sides have a round to warm up
    with Peer("source_loader.py", folder / "loose", WINDOW, count, python=sys.executable) as loader:

        def loader_reading() -> float:
            before = processor_seconds(loader.process.pid)
            seconds = loader()
            processor["loader"].append(processor_seconds(loader.process.pid) - before)
            return seconds

        reading = take_turns({"kagglekit": ours_reading, "loader": loader_reading}, rounds)
    as_fast = ratios(making["copy"], making["kagglekit"])
    return [
        Figure("store, to the archive", [size] * rounds, most=1.1),
        Figure("prepare as fast as a copy with SHA-1", as_fast, least=0.7),
        Figure("memory while it is made", memory or [0.0] * rounds, "MB", most=600),
        Figure("read as fast as a DataLoader", ratios(reading["loader"], reading["kagglekit"]), least=1.1),
        Figure("memory while it is read", reading_memory or [0.0] * rounds, "MB", most=600),
        Figure("the same by processor time", ratios(processor["loader"], processor["kagglekit"])),
        Figure("kagglekit, making", making["kagglekit"], "s"),
        Figure("copy with SHA-1", making["copy"], "s"),
        Figure("kagglekit, windows", [count / s for s in reading["kagglekit"]], "1/s"),
        Figure("DataLoader, windows", [count / s for s in reading["loader"]], "1/s"),
    ]


def main() -> None:
    args = arguments(__doc__.splitlines()[0], recordings=2000)
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), args.rounds, args.recordings)
    remarks = [f"{args.recordings:,} recordings of {SECONDS:g} s, {DISTINCT} of them distinct"]
    row = Row("source", "recordings of 40 s as a store of files", "bench_source.py", figures, remarks)
    report(row, keep=args.recordings >= 2000)


if __name__ == "__main__":
    main()
