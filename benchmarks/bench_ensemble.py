"""How long the ensembling lab takes, beside the packages whose algorithms it has, and one large submission.

    python benchmarks/bench_ensemble.py [--clips 65000] [--peers /path/to/python]

`--peers`: the Python of an environment with autogluon.core; without it AutoGluon is left out. Inputs are made
up: models that are right on 87 to 93 % of the clips and err partly together. Wall and CPU seconds: on a
shared machine the second ones are steadier.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from kagglekit import submission
from kagglekit.calibration import Answers
from kagglekit.config import Ensemble
from kagglekit.ensemble import unknown
from kagglekit.ensemble.blends import Mean, log_of
from kagglekit.ensemble.hillclimb import hill_climb
from kagglekit.ensemble.lab import compare_methods
from kagglekit.ensemble.methods import METHODS, Oof
from kagglekit.ensemble.selection import greedy, select

MODELS, CLASSES, FOLDS, SPEAKERS, ROWS = 20, 12, 5, 2000, 158_538

PEER = """
import json, sys, time, warnings
warnings.filterwarnings("ignore")
import numpy as np
data = np.load(sys.argv[1])
probs, target = data["probs"], data["target"]
def timed(work):
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return time.perf_counter() - wall, time.process_time() - cpu, result
from autogluon.core.metrics import accuracy
from autogluon.core.models.greedy_ensemble.ensemble_selection import EnsembleSelection
selection = EnsembleSelection(25, "multiclass", accuracy, tie_breaker="second_metric")
wall, cpu, _ = timed(lambda: selection.fit([*probs.astype(np.float64)], target))
print(json.dumps(["AutoGluon EnsembleSelection, 25 rounds", wall, cpu, selection.weights_.tolist()]))
"""


def library(clips: int, models: int = MODELS) -> Oof:
    """Made-up OOF predictions."""
    rng = np.random.default_rng(0)
    target = rng.integers(0, CLASSES, clips)
    logits = 2 * rng.normal(size=(clips, CLASSES)).astype(np.float32)
    logits = logits + 1.5 * rng.normal(size=(models, clips, CLASSES)).astype(np.float32)
    logits[:, np.arange(clips), target] += np.linspace(7.2, 8.6, models, dtype=np.float32)[:, None]
    probs = np.exp(logits)
    probs /= probs.sum(2, keepdims=True)
    return Oof(probs, target, np.ones(clips), np.arange(clips) % FOLDS)


def timed(what: str, work: Callable[[], Any]) -> Any:
    """Do it, print wall and CPU seconds, and give its result."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    show(what, time.perf_counter() - wall, time.process_time() - cpu)
    return result


def show(what: str, wall: float, cpu: float) -> None:
    """One line."""
    print(f"{what}: {wall:.2f} s, {cpu:.2f} s of CPU", flush=True)


def run_peer(python: str, oof: Oof) -> np.ndarray[Any, Any]:
    """AutoGluon's weights on the same input, timed in its own process."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "input.npz"
        np.savez(path, probs=oof.probs, target=oof.target)
        command = [python, "-c", PEER, str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    what, wall, cpu, weights = json.loads(done.stdout.splitlines()[-1])
    show(what, wall, cpu)
    return np.array(weights)


def one_submission(oof: Oof) -> None:
    """Blend, decide, check and write the CSV of ROWS clips, fitted beforehand."""
    blend = Mean(np.full(len(oof.probs), 1 / len(oof.probs)))
    answers = Answers(log_of(blend(oof.probs)), oof.target, oof.weight)
    decide = unknown.fit("bias", answers, np.zeros((len(oof.target), 3)), CLASSES - 1)
    classes = [f"class{i}" for i in range(CLASSES)]
    ids = [f"clip_{i:09d}.wav" for i in range(ROWS)]
    sample = submission.Sample(ids, "fname", "label")
    test = np.resize(oof.probs, (len(oof.probs), ROWS, CLASSES))

    def work() -> None:
        decided = decide(blend(test), np.zeros((ROWS, 3)), np.full(ROWS, 1 / ROWS))
        labels = np.asarray(classes)[decided.argmax(1)]
        frame = submission.build(sample, pl.DataFrame({"clip_id": ids, "label": labels}))
        submission.check(frame, sample, classes)
        with tempfile.TemporaryDirectory() as folder:
            submission.write(submission.to_csv(frame), Path(folder) / "submission.csv")

    timed(f"blend of {len(oof.probs)} runs, bias, check and CSV of {ROWS:,} rows", work)


def main() -> None:
    """All of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=65_000)
    parser.add_argument("--peers", default=None)
    args = parser.parse_args()
    oof = library(args.clips)
    data, settings = (oof.probs, oof.target, oof.weight), Ensemble()
    speaker = np.random.default_rng(1).integers(0, SPEAKERS, args.clips)
    size = f"{MODELS} models x {args.clips:,} clips x {CLASSES} classes"
    ours = timed(f"greedy, 25 rounds, {size}", lambda: greedy(*data, rounds=25))
    if args.peers:
        theirs = run_peer(args.peers, oof)
        print(f"largest difference of weights: {np.abs(ours - theirs).max():.3g}")
        timed("greedy once more", lambda: greedy(*data, rounds=25))
    timed("caruana, 25 rounds, 20 bags", lambda: select(*data, rounds=25, bags=20, seed=0))
    timed("hillclimb_negative", lambda: hill_climb(*data, negative=True))
    table = timed(
        f"all {len(METHODS)} methods, nested by {FOLDS} folds, with intervals",
        lambda: compare_methods(oof, speaker, settings),
    )
    print(f"chosen: {table.chosen}, {table.why}")
    one_submission(library(args.clips, 4))


if __name__ == "__main__":
    main()
