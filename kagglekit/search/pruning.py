"""Stop a trial early when its forecast final score is worse than the best so far by more than the noise."""

import math

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

STARTUP_TRIALS = 4  # finished trials before anything is stopped
LEAST_WARMUP = 0.2  # share of a fold's epochs whose scores predict nothing
SURE = 1.5
"""Standard deviations by which a trial's forecast must be worse than the best. With 1, the best trial was
stopped in one order of 20; with 2, fewer epochs were saved (benchmarks/bench_pruning.py on the first 11
sets)."""
PRIOR_TRIALS = 2.0
"""Pseudo-observations in every forecast, which draw the slope to 1 and the variance to the noise."""
NOISE = "noise"
"""User attribute of a finished trial: the standard error of its score."""


class CurvePruner(optuna.pruners.BasePruner):
    """Forecast a trial's final score from the scores of completed trials at the same step.

    A step is an epoch of a fold. A regression of final scores on scores at this step gives the forecast and
    its uncertainty: early epochs, with a high learning rate or an untrained head, predict little, so nothing
    is stopped; later epochs predict much. A difference within the noise of a score never stops a trial.

    (Optuna's MedianPruner compares with the median, ignores the noise, and keeps half of all trials.)

    Args:
        epochs: epochs per fold.
        warmup: share of epochs with a rising learning rate, for trials that do not draw it.
    """

    def __init__(self, epochs: int, warmup: float) -> None:
        self.epochs, self.warmup = epochs, warmup

    def warmup_steps(self, trial: FrozenTrial) -> int:
        """Return the epochs of the first fold after which a trial may be stopped."""
        share = max(float(trial.params.get("train.warmup", self.warmup)), LEAST_WARMUP)
        return max(math.ceil(share * self.epochs), 1)

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Return whether to stop a trial after its last reported step."""
        step = trial.last_step
        if step is None or step + 1 < self.warmup_steps(trial):
            return False
        sign = 1 if study.direction == StudyDirection.MAXIMIZE else -1
        value = sign * trial.intermediate_values[step]
        if math.isnan(value):
            return True
        complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        others = [t for t in complete if step in t.intermediate_values and t.value is not None]
        if len(others) < STARTUP_TRIALS:
            return False
        now = sign * np.array([t.intermediate_values[step] for t in others])
        final = sign * np.array([t.value for t in others])
        noise = float(np.median([t.user_attrs.get(NOISE, 0.0) for t in others]))
        mean, spread = forecast(now, final, value, noise)
        return mean + SURE * spread < max(sign * t.value for t in complete if t.value is not None)


def forecast(
    now: NDArray[np.float64], final: NDArray[np.float64], value: float, noise: float
) -> tuple[float, float]:
    """Forecast a trial's final score by linear regression on completed trials, with a prior for slope 1.

    Args:
        now: scores of the completed trials at this step, (trials,).
        final: their final scores, (trials,).
        value: the trial's score at this step.
        noise: standard error of one score.

    Returns:
        The mean and the standard deviation of the prediction, noise included.
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
    return expected, math.sqrt(variance * (1 + 1 / count + far))
