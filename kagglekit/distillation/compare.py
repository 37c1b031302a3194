"""Students beside the same models without their teaching: what it gains, over several seeds."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from kagglekit.data.prepare import Prepared
from kagglekit.runs.store import Run
from kagglekit.runs.train import train_run
from kagglekit.training.plan import resolve


class Gains(NamedTuple):
    """Pairs of runs, one for each seed."""

    taught: list[Run]
    plain: list[Run]

    @property
    def by_seed(self) -> list[float]:
        """OOF of the student less that of the same model without the teaching. OOF, not CV: the estimates for
        the test's clips are of models that have not learnt from them."""
        return [a.score.oof - b.score.oof for a, b in zip(self.taught, self.plain, strict=True)]

    def told(self) -> str:
        """`+0.91 ± 0.30 points (3 seeds)`: mean and standard error."""
        gains = 100 * np.array(self.by_seed)
        if len(gains) == 1:
            return f"{gains[0]:+.2f} points (one seed: no telling whether by chance)"
        error = gains.std(ddof=1) / math.sqrt(len(gains))
        return f"{gains.mean():+.2f} ± {error:.2f} points ({len(gains)} seeds)"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "gains": self.by_seed,
            "runs": [run.id for run in self.taught],
            "oof": [run.score.oof for run in self.taught],
            "plain_oof": [run.score.oof for run in self.plain],
        }


def gains(prepared: Prepared, model: str, teaching: str, seeds: int) -> Gains:
    """Train a model with and without a teaching, with the seeds train.seed, train.seed + 1, ...

    Runs that are there already are not trained again.
    """
    pairs = Gains([], [])
    for number in range(seeds):
        for runs, key in ((pairs.plain, ""), (pairs.taught, teaching)):
            seed = resolve(prepared.config, model).train.seed + number
            plan = resolve(prepared.config, model, {"train.teaching": key, "train.seed": seed})
            source = "recipe" if not key else f"teaching {key}"
            runs.append(train_run(prepared, plan, source=source))
    return pairs
