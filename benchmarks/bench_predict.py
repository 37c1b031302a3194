"""Every clip of a large test set from the store to logits in parquet, and how the stages grow: two rows.

    python benchmarks/bench_predict.py [--rounds N]

Clips are noise, as many as the Kaggle challenge has, in a temporary folder (8 GB). Each size has a process
of its own, which does all of its rounds. One network of tcresnet predicts: a run of four folds asks four of
them, of the same features. The peer does a part, and its time is scaled.
"""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from harness import HERE, ROOT, THREADS, Figure, Peer, Row, arguments, own_memory, ratios, report, timed

from kagglekit import models
from kagglekit.config.load import load_config
from kagglekit.data.store import StoreWriter, open_store
from kagglekit.features.cache import log_mel_cache
from kagglekit.features.logmel import FLOOR, geometry
from kagglekit.files import parquet
from kagglekit.files.atomic import write_bytes
from kagglekit.files.sample import Sample
from kagglekit.scoring.predictions import predictions
from kagglekit.submission.check import check
from kagglekit.submission.table import build, to_csv
from kagglekit.terminal import console
from kagglekit.training.dataset import Dataset
from kagglekit.training.head import Head
from kagglekit.training.plan import resolve
from kagglekit.training.predict import predict

MODEL, LARGE, SMALL, PART, COMPARED = "tcresnet", 158_538, 10_000, 8_000, 2_000
STAGES = ("store", "features", "predict", "submission")
TOLERANCE = 1e-2
CONFIG = load_config(HERE / "speech_mini.yaml")
PLAN = resolve(CONFIG, MODEL)


def network() -> torch.nn.Module:
    """The same weights in every process."""
    torch.manual_seed(0)
    return models.build(MODEL, PLAN.params, len(CONFIG.labels.all_classes)).eval()


def write_store(folder: Path, count: int) -> list[str]:
    """Noise, different in every clip; the ids."""
    samples, ids = CONFIG.audio.samples, [f"clip_{i:09d}.wav" for i in range(count)]
    noise = np.random.default_rng(0).normal(0, 3000, 2 * samples).astype(np.int16)
    with StoreWriter(folder, samples) as writer:
        for i, clip_id in enumerate(ids):
            writer.add(clip_id, noise[i % samples : i % samples + samples])
    return ids


def one_round(folder: Path, count: int) -> dict[str, float]:
    """Seconds of each stage."""
    seconds, made = {}, {}
    seconds["store"] = timed(lambda: made.update(ids=write_store(folder / "store", count)))

    def features() -> None:
        store = open_store(folder / "store")
        made["x"] = log_mel_cache(folder, store, "key", PLAN.features, CONFIG.audio, "bench")

    seconds["features"] = timed(features)
    classes = CONFIG.labels.all_classes
    table = pl.DataFrame({"clip_id": made["ids"], "split": "test", "row": range(count)})
    dataset = Dataset(table, {"test": made["x"]}, {}, {}, CONFIG.audio, PLAN.features)
    head = Head(classes, tuple(range(len(classes))), classes, words=False, double=None)

    def logits() -> None:
        found = predictions(table, predict(network(), dataset, table, head, PLAN.train))
        parquet.write(found, folder / "test.parquet")

    seconds["predict"] = timed(logits)

    def csv() -> None:
        found = parquet.read(folder / "test.parquet", "")
        at = found["logits"].to_numpy().argmax(1) + np.arange(count)  # untrained, it says one class of all
        labels = np.asarray(classes)[at % len(classes)]
        sample = Sample(made["ids"], "fname", ("label",))
        frame = build(sample, pl.DataFrame({"clip_id": found["clip_id"], "label": labels}))
        check(frame, sample, list(classes))
        write_bytes(folder / "submission.csv", to_csv(frame))

    seconds["submission"] = timed(csv)
    return seconds


def child(folder: Path, count: int, rounds: int) -> None:
    """All rounds of one size; prints what they took. The last one's files stay."""
    console.configure(quiet=True)
    torch.set_num_threads(THREADS)
    found: list[dict[str, float]] = []
    with own_memory() as peak:
        for _ in range(rounds):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            found.append(one_round(folder, count))
    mapped = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
    print(json.dumps({"seconds": found, "own_mb": peak, "mapped_mb": mapped}))


def size(folder: Path, count: int, rounds: int) -> dict[str, Any]:
    """`child` in a process."""
    command = [sys.executable, __file__, "--child", str(folder), str(count), str(rounds)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def by_stage(found: dict[str, Any], stage: str) -> list[float]:
    """Seconds of a stage, round by round."""
    return [seconds[stage] for seconds in found["seconds"]]


def growth_row(small: dict[str, Any], large: dict[str, Any]) -> Row:
    """How each stage grew."""
    figures, rounds = [], len(large["seconds"])
    for stage in STAGES:
        each = [seconds * SMALL / LARGE for seconds in by_stage(large, stage)]
        figures.append(
            Figure(
                f"{stage}: time a clip, to that of {SMALL:,}", ratios(each, by_stage(small, stage)), most=1.15
            )
        )
    figures += [Figure(f"{stage}: {LARGE:,} clips", by_stage(large, stage), "s") for stage in STAGES]
    for found, count in ((small, SMALL), (large, LARGE)):
        if found["own_mb"]:
            figures.append(Figure(f"peak memory, {count:,} clips", found["own_mb"] * rounds, "MB"))
    result = LARGE * len(CONFIG.labels.all_classes) * 4 / 1e6
    remarks = [
        f"memory without pages of mapped files; the result itself is {result:.0f} MB of logits, and the ids",
        f"with mapped files, too: {small['mapped_mb']:.0f} and {large['mapped_mb']:,.0f} MB",
    ]
    return Row("growth", f"growth from {SMALL:,} to {LARGE:,} clips", "bench_predict.py", figures, remarks)


def main() -> None:
    args = arguments(__doc__.splitlines()[0])
    torch.set_num_threads(THREADS)
    with tempfile.TemporaryDirectory() as name:
        small = size(Path(name, "small"), SMALL, args.rounds)
        large = size(Path(name, "large"), LARGE, args.rounds)
        folder = Path(name, "large")
        settings = [MODEL, dict(PLAN.params), len(CONFIG.labels.all_classes)]
        (folder / "network.json").write_text(json.dumps(settings))
        if PLAN.train.bf16:
            (folder / "bf16").touch()
        spec = PLAN.features
        numbers = (spec.n_mels, *geometry(spec, CONFIG.audio.sample_rate), spec.fmin, spec.fmax, FLOOR)
        with Peer("predict_datasets.py", folder, PART, *numbers) as peer:
            theirs = [peer() * LARGE / PART for _ in range(args.rounds)]
            logits = peer.result(Path(name, "logits.npy"))[:COMPARED]
        ours = pl.read_parquet(folder / "test.parquet")["logits"].head(COMPARED).to_numpy()
        error = float(np.abs(logits - ours).max())
    mine = [a + b for a, b in zip(by_stage(large, "features"), by_stage(large, "predict"), strict=True)]
    figures = [
        Figure("as fast as datasets.map", ratios(theirs, mine), least=5),
        Figure(f"kagglekit, {LARGE:,} clips", mine, "s", most=60),
        Figure(f"datasets.map, scaled from {PART:,} clips", theirs, "s"),
        Figure("largest difference of logits", [error] * args.rounds, "", most=TOLERANCE),
    ]
    if large["own_mb"]:
        figures.append(Figure("peak memory", large["own_mb"] * args.rounds, "MB", most=1000))
    remarks = [
        "one network; log-mels are computed, cached and read again; memory without pages of mapped files"
    ]
    remarks.append("the sides do not take turns: all rounds of one, then all of the other")
    report(Row("predict", f"predict {LARGE:,} clips, store to parquet", "bench_predict.py", figures, remarks))
    report(growth_row(small, large))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
    else:
        main()
