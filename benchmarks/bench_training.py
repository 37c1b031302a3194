"""Training, data included: the loop against transformers' Trainer, Lightning, and a plain loop without data.

    python benchmarks/bench_training.py [--rounds N]

All train the same network from the same weights on the same clips, in the same precision. kagglekit runs as
`train` does, two folds side by side on a core each, and also as one fold alone on both. Validation is left
out everywhere.
"""

from __future__ import annotations

import json
import math
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from harness import THREADS, Figure, Peer, Row, Side, arguments, rates, ratios, report, take_turns
from speech_mini import hand_over, job_for

MODELS, BATCH, STEPS = ("tcresnet", "convs2s", "lstm"), 128, 10
CLIPS = BATCH * STEPS
TRAINER, LIGHTNING, PLAIN = "transformers Trainer", "Lightning", "plain loop"
BESIDE, ALONE = "kagglekit, two folds at once", "kagglekit, one fold"


def beside(folds: list[Peer]) -> Side:
    """Seconds for one fold's epoch where several are trained at once."""

    def side() -> float:
        with ThreadPoolExecutor(len(folds)) as pool:
            return max(pool.map(lambda fold: fold(), folds)) / len(folds)

    return side


def measure(model: str, rounds: int) -> list[Figure]:
    """The figures of one architecture."""
    job = job_for(model, CLIPS)
    assert job.plan.train.batch_size == BATCH
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        hand_over(job, folder)
        network = [model, dict(job.plan.params), len(job.head.outputs)]
        (folder / "network.json").write_text(json.dumps(network))
        (folder / "clips").write_text(str(CLIPS))
        if job.plan.train.bf16:
            (folder / "bf16").touch()

        def process(script: str, threads: int = THREADS) -> Peer:
            own = {"python": sys.executable} if "kagglekit" in script else {}
            return stack.enter_context(Peer(script, folder, threads=threads, **own))

        sides: dict[str, Peer] = {
            TRAINER: process("train_trainer.py"),
            LIGHTNING: process("train_lightning.py"),
            PLAIN: process("train_plain.py"),
            ALONE: process("train_kagglekit.py"),
        }
        folds = [process("train_kagglekit.py", 1) for _ in range(THREADS)]
        seconds = take_turns({BESIDE: beside(folds), **sides}, rounds)
        for side in (*sides.values(), *folds):
            assert side.facts["steps"] == STEPS and math.isfinite(side.facts["loss"]), side.facts
    figures = [
        Figure(f"{model}: {BESIDE}, to the {PLAIN}", ratios(seconds[PLAIN], seconds[BESIDE]), least=0.95)
    ]
    figures.append(Figure(f"{model}: {ALONE}, to the {PLAIN}", ratios(seconds[PLAIN], seconds[ALONE])))
    figures.append(Figure(f"{model}: to the {TRAINER}", ratios(seconds[TRAINER], seconds[BESIDE]), least=3))
    figures.append(Figure(f"{model}: to {LIGHTNING}", ratios(seconds[LIGHTNING], seconds[BESIDE])))
    figures += [
        Figure(f"{model}: {side}", rates(CLIPS, values), "clips/s") for side, values in seconds.items()
    ]
    return figures


def main() -> None:
    args = arguments(__doc__.splitlines()[0])
    figures = [figure for model in MODELS for figure in measure(model, args.rounds)]
    remarks = [
        f"{STEPS} steps of {BATCH} clips a round; two folds at once is what `train` does on two cores",
        "the plain loop has AdamW alone; kagglekit's also augments, clips gradients and averages weights",
    ]
    report(Row("training", "training, data included", "bench_training.py", figures, remarks))


if __name__ == "__main__":
    main()
