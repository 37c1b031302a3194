"""How many epochs pruning saves, and whether it loses the best: learning curves, recorded once and replayed.

    python benchmarks/bench_pruning.py record   # trains 24 parameter sets to the end (an hour on a core)
    python benchmarks/bench_pruning.py          # replays the pruners on them, in seconds

The recipe and 23 sets drawn at random from TC-ResNet's search space, on speech-mini (fetched and prepared).
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.trial import TrialState

CURVES = Path(__file__).parents[1] / "docs/results/pruning-curves.json"
SETS, EPOCHS, FOLDS, ORDERS = 24, 8, 2, 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="?", choices=["record", "replay"], default="replay")
    parser.add_argument("--curves", type=Path, default=CURVES)
    args = parser.parse_args()
    if args.what == "record":
        record(args.curves)
    print(table(json.loads(args.curves.read_text(encoding="utf-8"))))


class Draw:
    """A trial that draws at random."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        if log:
            return float(np.exp(self.random.uniform(np.log(low), np.log(high))))
        return self.random.uniform(low, high)

    def suggest_int(self, name: str, low: int, high: int) -> int:
        return self.random.randint(low, high)

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self.random.choice(choices)


def record(path: Path) -> None:
    """Train every set to the end; a killed recording goes on with the sets that are missing."""
    from kagglekit.config.load import load_config
    from kagglekit.data.prepare import prepare
    from kagglekit.files.atomic import write_json
    from kagglekit.files.keys import key_of
    from kagglekit.files.workspace import Workspace
    from kagglekit.search.space import Space
    from kagglekit.search.trial import Candidate, train_trial
    from kagglekit.training.plan import resolve

    limits = [f"search.epochs={EPOCHS}", f"search.folds={FOLDS}"]
    config = load_config(Path(__file__).parent / "speech_mini.yaml", limits)
    workspace = Workspace(config)
    prepared = prepare(workspace)
    space = Space(config, resolve(config, "tcresnet"))
    sets = [space.recipe(), *(space.suggest(Draw(seed)) for seed in range(SETS - 1))]
    curves: list[dict[str, Any]] = []
    if path.is_file():
        curves = json.loads(path.read_text(encoding="utf-8"))["curves"]
    for params in sets[len(curves) :]:
        steps: dict[int, float] = {}
        folder = workspace.studies / "recorded" / key_of(params)
        candidate = Candidate(prepared, "tcresnet", params, folder)
        result = train_trial(candidate, lambda step, score, to=steps: to.update({step: round(score, 4)}))
        curves.append({"score": round(result.score, 4), "noise": round(result.noise, 4), "steps": steps})
        write_json(path, {"model": "tcresnet", "epochs": EPOCHS, "folds": FOLDS, "curves": curves})


def replay(curves: list[dict[str, Any]], pruner: optuna.pruners.BasePruner) -> tuple[float, float]:
    """The sets as the trials of a study, one after the other.

    Returns:
        Share of the epochs that pruning saves, and how far the best that is left lies below the best of all.
    """
    study = optuna.create_study(direction="maximize", pruner=pruner)
    spent, left = 0, []
    for curve in curves:
        trial, state = study.ask(), TrialState.COMPLETE
        for step, value in curve["steps"].items():
            trial.report(value, int(step))
            spent += 1
            if int(step) + 1 < len(curve["steps"]) and trial.should_prune():
                state = TrialState.PRUNED
                break
        if state == TrialState.COMPLETE:
            trial.set_user_attr("noise", curve["noise"])
            left.append(curve["score"])
        study.tell(trial, curve["score"] if state == TrialState.COMPLETE else None, state)
    whole = sum(len(curve["steps"]) for curve in curves)
    return 1 - spent / whole, max(curve["score"] for curve in curves) - max(left)


def table(recorded: dict[str, Any]) -> str:
    """Each pruner over many orders of the sets; the recipe comes first, as in a search."""
    from kagglekit.search.pruning import STARTUP_TRIALS, CurvePruner

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    curves, epochs = recorded["curves"], recorded["epochs"]
    pruners: dict[str, optuna.pruners.BasePruner] = {
        "none": optuna.pruners.NopPruner(),
        "MedianPruner, a third as warm-up": optuna.pruners.MedianPruner(STARTUP_TRIALS, epochs // 3),
        "SuccessiveHalvingPruner": optuna.pruners.SuccessiveHalvingPruner(),
        "kagglekit's CurvePruner": CurvePruner(epochs, 0.1),
    }
    noise = float(np.median([curve["noise"] for curve in curves]))
    lines = [
        f"{recorded['model']}: {len(curves)} sets, {recorded['folds']} folds of {epochs} epochs, "
        f"{ORDERS} orders; standard error of a score {noise:.4f}",
        "| pruner | epochs saved (5 % to 95 %) | best kept | within noise | loss, mean | worst |",
        "|---|---|---|---|---|---|",
    ]
    for name, pruner in pruners.items():
        rows = []
        for seed in range(ORDERS):
            rest = curves[1:]
            random.Random(seed).shuffle(rest)
            rows.append(replay([curves[0], *rest], pruner))
        saved, lost = np.array(rows).T
        low, middle, high = np.percentile(saved, [5, 50, 95])
        lines.append(
            f"| {name} | {middle:.1%} ({low:.1%} to {high:.1%}) | {(lost == 0).mean():.0%} "
            f"| {(lost <= noise).mean():.0%} | {lost.mean():.4f} | {lost.max():.4f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
