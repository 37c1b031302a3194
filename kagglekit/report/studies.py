"""The searches page: the history of each study, the importance of its parameters, and its best trials."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from kagglekit.charts.bars import Bar, bars
from kagglekit.charts.curves import Series, curves
from kagglekit.charts.parallel import Axis, parallel
from kagglekit.charts.svg import Picture
from kagglekit.report.source import Source
from kagglekit.search.importance import importances, with_pruned
from kagglekit.search.storage import all_studies
from kagglekit.search.study import REASON, completed_trials, sign_of

MOST_AXES = 9  # parameters in parallel coordinates, the most important ones
MOST_ROWS = 10  # trials in the table
MOST_LINES = 400  # trials in parallel coordinates, the best ones


@dataclass(frozen=True)
class Study:
    """An Optuna study with its finished trials."""

    name: str
    model: str
    study: optuna.Study
    trials: list[FrozenTrial]
    """The complete trials by number."""
    pruned: int
    failed: int


def read(source: Source) -> list[Study]:
    """Read every study of the workspace that has a finished trial.

    Raises:
        KagglekitError: a journal or storage cannot be read.
    """
    studies = []
    for study in all_studies(source.workspace):
        if len(study.directions) > 1:  # without a single best trial; `kagglekit tune` shows the front
            continue
        trials = study.get_trials(deepcopy=False)
        complete = [t for t in trials if t.state == TrialState.COMPLETE and t.value is not None]
        failed = sum(REASON in t.user_attrs for t in trials)
        pruned = sum(t.state == TrialState.PRUNED and REASON not in t.user_attrs for t in trials)
        if complete:
            model = study.study_name.rpartition("-")[0]
            studies.append(Study(study.study_name, model, study, complete, pruned, failed))
    return sorted(studies, key=lambda study: study.name)


def longest_study_per_model(studies: list[Study]) -> list[Study]:
    """Return the study of each model that has the most finished trials."""
    longest: dict[str, Study] = {}
    for study in studies:
        if study.model not in longest or len(study.trials) > len(longest[study.model].trials):
            longest[study.model] = study
    return list(longest.values())


def page(studies: list[Study]) -> dict[str, Any]:
    """Compute what studies.html shows."""
    return {"studies": [_study(study) for study in studies]}


def _study(study: Study) -> dict[str, Any]:
    importance = importances(study.study)
    ranked = completed_trials(study.study)
    names = list(importance) or sorted({name for trial in ranked for name in trial.params})
    return {
        "study": study,
        "best": ranked[0],
        "history": history_chart(study),
        "judged": len(with_pruned(study.study).get_trials(deepcopy=False)),
        "importance": importance_chart(importance) if importance else None,
        "parallel": parallel_chart(ranked[:MOST_LINES], names[:MOST_AXES]) if names else None,
        "names": names,
        "top": [(t.number, _value(t), [_shown(t.params.get(n)) for n in names]) for t in ranked[:MOST_ROWS]],
    }


def _value(trial: FrozenTrial) -> float:
    return math.nan if trial.value is None else trial.value


def history_chart(study: Study) -> Picture:
    """Draw each trial's score, and the best so far."""
    numbers = [float(trial.number) for trial in study.trials]
    values = [_value(trial) for trial in study.trials]
    notes = [f"{trial.number}: {value:.4f}" for trial, value in zip(study.trials, values, strict=True)]
    best = list(accumulate(values, max if sign_of(study.study) > 0 else min))
    drawn = [Series("best so far", numbers, best), Series("trial", numbers, values, "dots", notes)]
    return curves(drawn, title="History", x_name="trial", y_name="CV")


def importance_chart(importance: dict[str, float]) -> Picture:
    """Draw the importance of each parameter in percent."""
    rows = [Bar(_short(name), [share], f"{100 * share:.0f} %") for name, share in importance.items()]
    return bars(rows, title="Importance of the parameters (PED-ANOVA)")


def parallel_chart(ranked: Sequence[FrozenTrial], names: Sequence[str]) -> Picture:
    """Draw the parameters and scores of the trials, the best one in colour."""
    values = [_value(trial) for trial in ranked]
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    places = [(value - low) / span for value in values]
    score = Axis(
        "CV", places, [(0.0, f"{low:.3f}"), (1.0, f"{high:.3f}")] if high > low else [(0.0, f"{low:.3f}")]
    )
    axes = [*(_axis(name, ranked) for name in names), score]
    notes = [f"trial {t.number}: CV {v:.4f}" for t, v in zip(ranked, values, strict=True)]
    return parallel(axes, notes, 0, title="Parallel coordinates, the best trial in colour")


def _axis(name: str, trials: Sequence[FrozenTrial]) -> Axis:
    """Place the values of a parameter on its axis: on a log scale where the search drew them so."""
    distribution = next(t.distributions[name] for t in trials if name in t.distributions)
    chosen = [trial.params.get(name) for trial in trials]
    if isinstance(distribution, CategoricalDistribution):
        last = max(len(distribution.choices) - 1, 1)
        place = {choice: k / last for k, choice in enumerate(distribution.choices)}
        ticks = [(at, _shown(choice)) for choice, at in place.items()]
        return Axis(_short(name), [None if value is None else place[value] for value in chosen], ticks)
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    scale = math.log if distribution.log else float
    low, high = scale(distribution.low), scale(distribution.high)
    span = (high - low) or 1.0
    numeric = [None if value is None else (scale(value) - low) / span for value in chosen]
    ends = [(0.0, _shown(distribution.low)), (1.0, _shown(distribution.high))]
    return Axis(_short(name), numeric, ends)


def _short(name: str) -> str:
    """`train.augment.mixup` -> `mixup`"""
    return name.rpartition(".")[2]


def _shown(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
