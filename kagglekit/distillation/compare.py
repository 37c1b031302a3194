"""Compare students with the same models trained on labels alone, over several seeds."""

import math
from typing import Any, NamedTuple

import numpy as np

from kagglekit.data.prepare import Prepared
from kagglekit.runs.store import Run
from kagglekit.runs.train import train_run
from kagglekit.scoring.metrics import Metric
from kagglekit.training.plan import resolve


class Gains(NamedTuple):
    """Pairs of runs, one pair per seed."""

    students: list[Run]
    baselines: list[Run]
    """The same models without soft targets."""
    metric: Metric

    @property
    def by_seed(self) -> list[float]:
        """How much better each student's OOF is. CV would mislead: its test shift and fold-ensemble gain
        assume that the model was not trained on test clips."""
        pairs = zip(self.students, self.baselines, strict=True)
        return [self.metric.gain(student.score.oof, other.score.oof) for student, other in pairs]

    def summary(self) -> str:
        """Return mean and standard error of the gain: `+0.91 ± 0.30 points (3 seeds)`."""
        gains = np.array(self.by_seed)
        if len(gains) == 1:
            return f"{self.metric.difference(gains[0], 2)}{self.metric.unit} (1 seed: it may be chance)"
        error = gains.std(ddof=1) / math.sqrt(len(gains))
        return f"{self.metric.points(gains.mean(), error)} ({len(gains)} seeds)"

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable dict."""
        return {
            "gains": self.by_seed,
            "runs": [run.id for run in self.students],
            "oof": [run.score.oof for run in self.students],
            "baseline_oof": [run.score.oof for run in self.baselines],
        }


def gains(prepared: Prepared, model: str, soft_targets: str, seeds: int) -> Gains:
    """Train a model with and without soft targets, given by key, with seeds train.seed, train.seed + 1, ...

    Runs that exist already are not trained again.
    """
    pairs = Gains([], [], prepared.task.metric)
    for number in range(seeds):
        for runs, key in ((pairs.baselines, ""), (pairs.students, soft_targets)):
            seed = resolve(prepared.config, model).train.seed + number
            plan = resolve(prepared.config, model, {"train.soft_targets": key, "train.seed": seed})
            source = "recipe" if not key else f"soft targets {key}"
            runs.append(train_run(prepared, plan, source=source))
    return pairs
