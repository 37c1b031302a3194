"""Importance of parameters: which of them separate good trials from bad ones."""

import math
import warnings

import optuna
from optuna.trial import TrialState, create_trial

from kagglekit.search.study import REASON

LEAST_TRIALS = 6  # PED-ANOVA needs better and worse ones


def with_pruned(study: optuna.Study) -> optuna.Study:
    """Copy a study into memory, and count its pruned trials as complete with their last score.

    Most trials are pruned. Without them, importance would compare good trials with good trials only.
    """
    copy = optuna.create_study(directions=study.directions)
    copy.add_trials(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))
    for trial in study.get_trials(deepcopy=False, states=(TrialState.PRUNED,)):
        step = trial.last_step
        score = math.nan if step is None else trial.intermediate_values[step]
        if REASON not in trial.user_attrs and math.isfinite(score):  # pruned for its score, not for an error
            copy.add_trial(create_trial(value=score, params=trial.params, distributions=trial.distributions))
    return copy


def importances(study: optuna.Study) -> dict[str, float]:
    """Return each parameter's share of importance (PED-ANOVA, arXiv:2304.10255), the largest first.

    Empty where there are too few trials.
    """
    copy = with_pruned(study)
    if len(copy.get_trials(deepcopy=False)) < LEAST_TRIALS:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that few trials are uncertain: the report says so, too
        try:
            shares = optuna.importance.get_param_importances(copy)
        except (ValueError, RuntimeError):  # the trials share no parameter
            return {}
    return {name: share for name, share in shares.items() if math.isfinite(share)}
