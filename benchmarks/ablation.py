"""What each training switch is worth: every one alone against the recipe, over seeds.

    python benchmarks/ablation.py                # trains what is not in docs/results/ablation.jsonl yet
    python benchmarks/ablation.py --jobs 1       # on one core, and leaves the other to you
    python benchmarks/ablation.py --table        # the table of docs/RESULTS.md

The cheapest model (TC-ResNet8), short trainings on all folds of speech-mini, three seeds, judged by weighted
OOF accuracy; public answers play no part. Each process trains on one core.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

import polars as pl

from kagglekit.parallel.processes import run_all

MODEL, DEPTH, EPOCHS, SEEDS = "tcresnet", 8, 24, (0, 1, 2)
RESULTS = Path(__file__).parents[1] / "docs" / "results" / "ablation.jsonl"
RECIPE = {"train.augment.time_mask": 20, "train.augment.freq_mask": 5, "train.augment.noise": 0.5}
"""As it was when the first rows were measured; the recipe has less of each since."""
SWITCHES: dict[str, dict[str, Any]] = {
    "recipe": {},
    "no double words": {"train.augment.double_words": 0.0},
    "no clutter, no filter": {"train.augment.clutter": 0.0, "train.augment.filter_db": 0.0},
    "mixup 0.2": {"train.augment.mixup": 0.2},
    "no SpecAugment": {"train.augment.time_mask": 0, "train.augment.freq_mask": 0},
    "targets head": {"train.labels": "targets"},
    "no noise": {"train.augment.noise": 0.0},
    "speed 10 %, pitch 1 band": {"train.augment.speed": 0.1, "train.augment.pitch": 1.0},
    "no time shift": {"train.augment.shift_ms": 0.0},
    "no gain": {"train.augment.gain_db": 0.0},
    "no EMA": {"train.ema": 0.0},
    "no label smoothing": {"train.label_smoothing": 0.0},
    "balanced classes": {"train.balance": 1.0},
    "reversed words": {"train.augment.reversed_words": 0.1},
}
TTA = "TTA +-40 ms"
"""The recipe's models once more, each clip also heard 40 ms earlier and later."""


def measure(name: str, seed: int) -> list[dict[str, Any]]:
    """Train the folds of one switch with one seed; its scores, and of the recipe those of TTA."""
    import torch

    from kagglekit.config.load import load_config
    from kagglekit.data.clips import validation_rows
    from kagglekit.data.prepare import prepare
    from kagglekit.files.workspace import Workspace
    from kagglekit.runs.setup import head_for, make_dataset
    from kagglekit.runs.store import load_fold, rows_of
    from kagglekit.scoring.cv import score
    from kagglekit.scoring.predictions import logits_of, predictions
    from kagglekit.terminal import console
    from kagglekit.training.loop import Fold, train_fold
    from kagglekit.training.plan import resolve
    from kagglekit.training.predict import predict

    torch.set_num_threads(1)
    console.configure(quiet=True)
    config = load_config(Path(__file__).with_name("speech_mini.yaml"))
    workspace = Workspace(config)
    prepared = prepare(workspace)
    found = {"model.depth": DEPTH, "train.epochs": EPOCHS, "train.seed": seed, **RECIPE, **SWITCHES[name]}
    plan = resolve(config, MODEL, found)
    dataset, head = make_dataset(prepared, plan), head_for(prepared, plan)
    with tempfile.TemporaryDirectory() as folder:
        jobs = [
            Fold(config, plan, dataset, head, n, Path(folder, str(n))) for n in range(config.validation.folds)
        ]
        tables = {name: pl.concat([train_fold(job) for job in jobs])}
        if not SWITCHES[name]:
            shifted = plan.train.model_copy(update={"tta_ms": (-40.0, 40.0)})
            judged = [validation_rows(dataset.clips, job.number) for job in jobs]
            tables[TTA] = pl.concat(
                predictions(clips, predict(load_fold(job.folder)[0], dataset, clips, head, shifted))
                for job, clips in zip(jobs, judged, strict=True)
            )
    rows = []
    for switch, oof in tables.items():
        result = score(logits_of(oof), rows_of(oof, prepared.clips), config)
        rows.append({"switch": switch, "seed": seed, "cv": result.cv, "plain": result.plain, **result.parts})
    return rows


def train(names: list[str], jobs: int) -> None:
    """Measure what is missing, so many at a time."""
    done = {(row["switch"], row["seed"]) for row in _results()}
    run_all(keep, [(name, seed) for seed in SEEDS for name in names if (name, seed) not in done], jobs)


def keep(job: tuple[str, int]) -> None:
    """Measure, and add the rows to the results in one write, so that a kill loses no more than this."""
    lines = "".join(json.dumps(row) + "\n" for row in measure(*job))
    with RESULTS.open("a", encoding="utf-8") as file:
        file.write(lines)
    print(lines, end="", flush=True)


def _results() -> list[dict[str, Any]]:
    if not RESULTS.is_file():
        return []
    return [json.loads(line) for line in RESULTS.read_text(encoding="utf-8").splitlines()]


def table() -> str:
    """Markdown: each switch against the recipe; a difference under two standard deviations is none."""
    rows = _results()
    recipe = {row["seed"]: row for row in rows if row["switch"] == "recipe"}
    spread = statistics.stdev(row["cv"] for row in recipe.values())
    lines = [
        "| switch | CV | +- | difference | keyword | heard | never heard | silence | verdict |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name in (*SWITCHES, TTA):
        of = [row for row in rows if row["switch"] == name]
        if len(of) < len(SEEDS):
            continue
        cv = [row["cv"] for row in of]
        difference = statistics.mean(row["cv"] - recipe[row["seed"]]["cv"] for row in of)
        error = 2 * ((spread**2 + statistics.stdev(cv) ** 2) / len(SEEDS)) ** 0.5  # of two means' difference
        verdict = "none" if abs(difference) < error else "better" if difference > 0 else "worse"
        parts = [statistics.mean(row[p] for row in of) for p in ("keyword", "seen", "unseen", "silence")]
        numbers = [f"{statistics.mean(cv):.4f}", f"{statistics.stdev(cv):.4f}", f"{100 * difference:+.1f}"]
        cells = [name, *numbers, *(f"{part:.3f}" for part in parts), "" if name == "recipe" else verdict]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("switches", nargs="*", default=list(SWITCHES), help="by default all")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--table", action="store_true")
    args = parser.parse_args()
    if args.table:
        print(table())
    else:
        train(args.switches, args.jobs)
