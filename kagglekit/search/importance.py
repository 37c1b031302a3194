"""Which parameters tell good trials from the others."""

from __future__ import annotations

import math
import warnings

import optuna
from optuna.trial import FrozenTrial, TrialState, create_trial

from kagglekit.search.study import REASON

LEAST = 6  # trials; PED-ANOVA needs better and worse ones


def judged(study: optuna.Study) -> optuna.Study:
    """A copy in memory whose pruned trials count as finished, with the score that they had reached.

    They are most of a search. Without them, importance would compare the good with the good.
    """
    copy = optuna.create_study(directions=study.directions)
    finished = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    pruned = study.get_trials(deepcopy=False, states=(TrialState.PRUNED,))
    copy.add_trials([*finished, *(_finished(t) for t in pruned if _counts(t))])
    return copy


def _counts(trial: FrozenTrial) -> bool:
    """Whether a trial was given up for its score, not for an error."""
    return REASON not in trial.user_attrs and math.isfinite(_reached(trial))


def _reached(trial: FrozenTrial) -> float:
    """Its last score; NaN where it has none."""
    return (
        trial.intermediate_values[max(trial.intermediate_values)] if trial.intermediate_values else math.nan
    )


def _finished(trial: FrozenTrial) -> FrozenTrial:
    return create_trial(value=_reached(trial), params=trial.params, distributions=trial.distributions)


def importances(study: optuna.Study) -> dict[str, float]:
    """Share of each parameter in what tells good trials from others (PED-ANOVA, arXiv:2304.10255).

    The most important first; empty where the trials are too few.
    """
    copy = judged(study)
    if len(copy.get_trials(deepcopy=False)) < LEAST:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that few trials give uncertain results: so does the page
        try:
            found = optuna.importance.get_param_importances(copy)
        except (ValueError, RuntimeError):  # no parameter that all trials have
            return {}
    return {name: share for name, share in found.items() if math.isfinite(share)}
