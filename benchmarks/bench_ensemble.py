"""Ensembling: our greedy selection against AutoGluon's, our hill climbing against the package hillclimbers.

    python benchmarks/bench_ensemble.py [--rounds N]

The algorithms are the same, and so must be the weights. Inputs are made up: models that are right on 87 to 93
% of the clips and err partly together. Beside them: bags of the selection, all methods with their nested
scores, and one CSV.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import polars as pl
from harness import Figure, Peer, Row, arguments, ratios, report, take_turns, timed

from kagglekit.config import Ensemble
from kagglekit.ensemble import decisions
from kagglekit.ensemble.blends import Mean
from kagglekit.ensemble.hillclimb import hill_climb
from kagglekit.ensemble.methods import METHODS
from kagglekit.ensemble.nested_cv import compare_methods
from kagglekit.ensemble.selection import greedy, select
from kagglekit.files.atomic import write_bytes
from kagglekit.files.sample import Sample
from kagglekit.scoring.metrics import make_metric
from kagglekit.scoring.oof import Oof
from kagglekit.scoring.task import Task
from kagglekit.submission.check import check
from kagglekit.submission.table import build, to_csv

MODELS, CLIPS, CLASSES, FOLDS, SPEAKERS, ROWS, SELECTED = 20, 65_000, 12, 5, 2000, 158_538, 25
CLIMBED, CLIMBERS = 20_000, 8  # clips and models of two classes
TOLERANCE = 1e-9


def library(clips: int, models: int = MODELS, classes: int = CLASSES) -> Oof:
    """Made-up OOF predictions."""
    rng = np.random.default_rng(0)
    target = rng.integers(0, classes, clips)
    logits = 2 * rng.normal(size=(clips, classes)).astype(np.float32)
    logits = logits + 1.5 * rng.normal(size=(models, clips, classes)).astype(np.float32)
    logits[:, np.arange(clips), target] += np.linspace(7.2, 8.6, models, dtype=np.float32)[:, None]
    probs = np.exp(logits)
    probs /= probs.sum(2, keepdims=True)
    speaker = np.random.default_rng(1).integers(0, SPEAKERS, clips)
    return Oof(probs, target, np.ones(clips), np.arange(clips) % FOLDS, speaker, np.zeros((clips, 3)))


def one_submission(oof: Oof) -> None:
    """Blend, decide, check and write the CSV of ROWS clips."""
    blend = Mean(np.full(len(oof.probs), 1 / len(oof.probs)))
    decide = decisions.fit("bias", oof.with_probs(blend(oof.probs)), CLASSES - 1)
    classes = [f"class{i}" for i in range(CLASSES)]
    ids = [f"clip_{i:09d}.wav" for i in range(ROWS)]
    sample = Sample(ids, "fname", ("label",))
    test = np.resize(oof.probs, (len(oof.probs), ROWS, CLASSES))
    decided = decide(blend(test), np.zeros((ROWS, 3)), np.full(ROWS, 1 / ROWS))
    labels = np.asarray(classes)[decided.argmax(1)]
    frame = build(sample, pl.DataFrame({"clip_id": ids, "label": labels}))
    check(frame, sample, classes)
    with tempfile.TemporaryDirectory() as folder:
        write_bytes(Path(folder) / "submission.csv", to_csv(frame))


def measure_greedy(oof: Oof, rounds: int) -> list[Figure]:
    """Against AutoGluon's selection."""
    data = (oof.probs, oof.target, oof.weight)
    with tempfile.TemporaryDirectory() as folder:
        np.savez(Path(folder, "input.npz"), probs=oof.probs, target=oof.target)
        with Peer("select_autogluon.py", Path(folder, "input.npz"), SELECTED) as peer:
            ours = greedy(*data, rounds=SELECTED)
            sides = {"ours": lambda: timed(lambda: greedy(*data, rounds=SELECTED)), "theirs": peer}
            seconds = take_turns(sides, rounds)
            error = float(np.abs(peer.result(Path(folder, "weights.npy")) - ours).max())
    return [
        Figure("greedy selection, to AutoGluon's", ratios(seconds["theirs"], seconds["ours"]), least=5),
        Figure("difference of its weights", [error] * rounds, "", most=TOLERANCE),
        Figure("greedy selection: kagglekit", seconds["ours"], "s"),
        Figure("greedy selection: AutoGluon", seconds["theirs"], "s"),
    ]


def measure_climbing(rounds: int) -> list[Figure]:
    """Against the package hillclimbers."""
    oof = library(CLIMBED, CLIMBERS, 2)
    data = (oof.probs.astype(np.float64), oof.target, oof.weight)
    with tempfile.TemporaryDirectory() as folder:
        np.savez(Path(folder, "input.npz"), probs=oof.probs, target=oof.target)
        with Peer("select_hillclimbers.py", Path(folder, "input.npz")) as peer:
            ours = hill_climb(*data, negative=False)
            sides = {"ours": lambda: timed(lambda: hill_climb(*data, negative=False)), "theirs": peer}
            seconds = take_turns(sides, rounds)
            error = float(np.abs(peer.result(Path(folder, "weights.npy")) - ours).max())
    return [
        Figure("hill climbing, to hillclimbers", ratios(seconds["theirs"], seconds["ours"]), least=5),
        Figure("difference of climbed weights", [error] * rounds, "", most=TOLERANCE),
        Figure("hill climbing: kagglekit", seconds["ours"], "s"),
        Figure("hill climbing: hillclimbers", seconds["theirs"], "s"),
    ]


def main() -> None:
    args = arguments(__doc__.splitlines()[0])
    oof, few = library(CLIPS), library(CLIPS, 4)
    figures = [*measure_greedy(oof, args.rounds), *measure_climbing(args.rounds)]
    bags = [timed(lambda: select(oof.probs, oof.target, oof.weight, rounds=SELECTED, bags=20, seed=0))]
    names = tuple(f"class{i}" for i in range(CLASSES))
    task = Task(names, names[:-1], names[-1], make_metric("accuracy"), "label")
    bags += [timed(lambda: compare_methods(oof, Ensemble(), task)), timed(lambda: one_submission(few))]
    remarks = [
        f"{MODELS} models x {CLIPS:,} clips x {CLASSES} classes, {SELECTED} rounds",
        f"hill climbing: {CLIMBERS} models x {CLIMBED:,} clips x 2 classes",
        f"once each: 20 bags of the selection {bags[0]:.1f} s; all {len(METHODS)} methods, nested by {FOLDS} "
        f"folds, with intervals {bags[1]:.1f} s; blend, decision and CSV of {ROWS:,} rows {bags[2]:.2f} s",
    ]
    report(Row("ensemble", "ensembling", "bench_ensemble.py", figures, remarks))


if __name__ == "__main__":
    main()
