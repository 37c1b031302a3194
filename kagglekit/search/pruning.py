"""When a trial is stopped early: when what it will end at is, beyond the noise, below the best so far."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.trial import FrozenTrial, TrialState

STARTUP_TRIALS = 4  # finished trials before anything is stopped
LEAST_WARMUP = 0.2  # share of a fold's epochs in which scores say nothing yet
SURE = 1.5
"""Standard deviations that a trial's forecast must lie below the best: with 1 the best itself was stopped in
one order of 20, with 2 fewer epochs were saved (benchmarks/bench_pruning.py on the first 11 sets)."""
PRIOR_TRIALS = 2.0
"""Made-up trials behind every forecast, whose scores rise as the others' do, give or take the noise."""
NOISE = "noise"
"""User attribute of a finished trial: the standard error of its score."""


class Forecast(NamedTuple):
    """What a trial is expected to end at."""

    mean: float
    spread: float
    """Standard deviation of the prediction, noise included."""


class CurvePruner(optuna.pruners.BasePruner):
    """Forecasts a trial's final score from that of finished trials at the same step.

    A step is an epoch of a fold. How finished trials' scores at this step and at their end go together
    says what to expect, and how unsure that is: in the first epochs, while the learning rate is high or a
    pretrained network's new head is untrained, hardly anything follows, so that nothing is stopped; late,
    much does. A difference that is within the noise of a score never stops a trial.

    (Optuna's MedianPruner compares with the median, whatever the noise, and keeps half of all trials.)

    Args:
        epochs: of a fold.
        warmup: share of the epochs with a rising learning rate, where the trial does not draw its own.
    """

    def __init__(self, epochs: int, warmup: float) -> None:
        self.epochs, self.warmup = epochs, warmup

    def warmup_steps(self, trial: FrozenTrial) -> int:
        """Epochs of the first fold after which a trial may be stopped."""
        share = max(float(trial.params.get("train.warmup", self.warmup)), LEAST_WARMUP)
        return max(math.ceil(share * self.epochs), 1)

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Whether to stop a trial after its last reported step."""
        step = trial.last_step
        if step is None or step + 1 < self.warmup_steps(trial):
            return False
        value = trial.intermediate_values[step]
        if math.isnan(value):
            return True
        whole = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        seen = [t for t in whole if step in t.intermediate_values and t.value is not None]
        if len(seen) < STARTUP_TRIALS:
            return False
        now = np.array([t.intermediate_values[step] for t in seen])
        final = np.array([t.value for t in seen])
        noise = float(np.median([t.user_attrs.get(NOISE, 0.0) for t in seen]))
        expected = forecast(now, final, value, noise)
        return expected.mean + SURE * expected.spread < max(t.value for t in whole if t.value is not None)


def forecast(now: NDArray[np.float64], final: NDArray[np.float64], value: float, noise: float) -> Forecast:
    """A trial's final score, by a regression on finished trials that is drawn towards slope 1.

    Args:
        now: their scores at this step, (trials,).
        final: their final scores, (trials,).
        value: the trial's score at this step.
        noise: standard error of one score.
    """
    rise = now - now.mean()
    prior = PRIOR_TRIALS * max(noise, 1e-6) ** 2
    squares = float(rise @ rise) + prior
    slope = max((float(rise @ (final - final.mean())) + prior) / squares, 0.0)
    expected = float(final.mean()) + slope * (value - float(now.mean()))
    left = final - final.mean() - slope * rise
    count = len(now)
    variance = (float(left @ left) + PRIOR_TRIALS * noise**2) / (count - 1 + PRIOR_TRIALS)
    far = (value - float(now.mean())) ** 2 / squares
    return Forecast(expected, math.sqrt(variance * (1 + 1 / count + far)))
