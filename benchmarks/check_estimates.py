"""How good the label-free estimates in the CV score are, where labels are known: on OOF predictions.

    python benchmarks/check_estimates.py [YAML]

`averaging_gain`: the members are architectures instead of folds; on OOF predictions of two and more trained
models the expected gain stands beside the one that the labels give. `confidence_shift`: each fold plays the
test; how much better or worse it is than the others stands beside what the confidences say.
Public answers play no part.
"""

from __future__ import annotations

import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kagglekit.config import Config
from kagglekit.config.load import load_config
from kagglekit.data.prepare import prepare
from kagglekit.errors import MissingError
from kagglekit.files import parquet
from kagglekit.files.workspace import Workspace
from kagglekit.models import MODELS
from kagglekit.runs.choose import best_run
from kagglekit.runs.store import rows_of
from kagglekit.scoring.cv import averaging_gain, clip_weights, confidence_shift
from kagglekit.scoring.numerics import softmax
from kagglekit.scoring.oof import Oof
from kagglekit.scoring.predictions import logits_of
from kagglekit.scoring.task import Task

DRAWN = 20_000  # clips, by their weight: the estimates know none


def check_gain(oof: dict[str, pl.DataFrame], target: NDArray[np.int64], weight: NDArray[np.float64]) -> None:
    """A row for each set of models, and the mean error."""
    drawn = np.random.default_rng(0).choice(len(weight), DRAWN, p=weight)
    rows = []
    for count in range(2, len(oof) + 1):
        for names in combinations(oof, count):
            members = [softmax(logits_of(oof[name]))[drawn] for name in names]
            alone = float(np.mean([(m.argmax(1) == target[drawn]).mean() for m in members]))
            gain = float((np.mean(members, axis=0).argmax(1) == target[drawn]).mean()) - alone
            rows.append((gain, averaging_gain(members, alone)))
    measured, expected = 100 * np.array(rows).T
    error = np.abs(measured - expected).mean()
    print(
        f"averaging_gain, {len(rows)} sets of models: {measured.mean():+.2f} measured, "
        f"{expected.mean():+.2f} expected, mean absolute error {error:.2f} points"
    )


def check_shift(config: Config, oof: dict[str, pl.DataFrame], clips: pl.DataFrame) -> None:
    """A row for each model, and the mean error with and without the estimate."""
    task, errors = Task.of(config), []
    for name, table in oof.items():
        even = np.full(len(clips), 1 / len(clips))
        every = Oof.from_clips(clips, softmax(logits_of(table))[None], task, even)
        shown = []
        for number in range(config.validation.folds):
            tested = every.fold == number
            others = every.select(~tested)._replace(weight=clip_weights(clips.filter(~tested), config))
            test = every.select(tested)._replace(weight=clip_weights(clips.filter(tested), config))
            accuracies = [one.weight @ (one.probs[0].argmax(1) == one.target) for one in (test, others)]
            shift = float(accuracies[0] - accuracies[1])
            drawn = np.random.default_rng(0).choice(len(test.weight), DRAWN, p=test.weight)
            expected = confidence_shift(others, [test.probs[0, drawn]])
            errors.append((abs(shift), abs(shift - expected)))
            shown.append(f"{100 * shift:+.1f} ({100 * expected:+.1f})")
        print(f"confidence_shift, {name}: measured (expected) by fold {', '.join(shown)}")
    without, left = 100 * np.mean(errors, axis=0)
    print(f"confidence_shift: mean absolute shift {without:.2f} points, {left:.2f} left after the estimate")


def main() -> None:
    """Both checks, on the best run of every model."""
    config = load_config(
        Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("speech_mini.yaml")
    )
    workspace = Workspace(config)
    prepared = prepare(workspace)
    oof: dict[str, pl.DataFrame] = {}
    for model in MODELS:
        try:
            run = best_run(prepared, model)
        except MissingError:
            continue
        oof[model] = parquet.read(run.folder / "oof.parquet", "train it again").sort("clip_id")
    if len(oof) < 2:
        print("skipped: needs two trained models")
        return
    clips = rows_of(next(iter(oof.values())), prepared.clips)
    index = {name: i for i, name in enumerate(config.labels.all_classes)}
    check_gain(oof, np.array([index[name] for name in clips["label"]]), clip_weights(clips, config))
    check_shift(config, oof, clips)


if __name__ == "__main__":
    main()
