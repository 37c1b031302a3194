"""When a search ends: enough trials, the deadline, or no progress for a while."""

import time
from dataclasses import dataclass

import optuna
from optuna.trial import TrialState

from kagglekit.search.pruning import NOISE
from kagglekit.search.study import ENDED, sign_of

STAGNATION = 15
"""Trials without progress after which --until-stagnation ends a search by default."""


@dataclass(frozen=True)
class SearchLimits:
    """The limits of a search, which ends at whichever comes first."""

    trials: int | None
    """Total trials of the study, earlier calls included."""
    deadline: float | None = None
    """time.monotonic() after which no epoch begins."""
    stagnation: int | None = None
    """Trials in a row without progress, see `trials_since_progress`."""

    def out_of_time(self) -> bool:
        """Return whether the deadline has passed."""
        return self.deadline is not None and time.monotonic() > self.deadline

    def room(self, study: optuna.Study) -> bool:
        """Return whether another trial may begin: fewer are running or ended than are wanted."""
        states = (*ENDED, TrialState.RUNNING)
        return self.trials is None or len(study.get_trials(deepcopy=False, states=states)) < self.trials

    def complete(self, study: optuna.Study) -> bool:
        """Return whether the study has enough trials, or has stopped improving."""
        ended = len(study.get_trials(deepcopy=False, states=ENDED))
        if self.trials is not None and ended >= self.trials:
            return True
        return self.stagnation is not None and trials_since_progress(study) >= self.stagnation

    def over(self, study: optuna.Study) -> bool:
        """Return whether the search should end."""
        return self.complete(study) or self.out_of_time()


def trials_since_progress(study: optuna.Study) -> int:
    """Count the trials since the best score last improved by more than half its standard error."""
    best, since, sign = -float("inf"), 0, sign_of(study)
    for trial in study.get_trials(deepcopy=False, states=ENDED):
        since += 1
        if trial.state != TrialState.COMPLETE:
            continue
        value = sign * trial.values[0]
        if value > best + trial.user_attrs.get(NOISE, 0.0) / 2:
            best, since = value, 0
    return since
