"""Build an ensemble: choose, fit and score a blend, a smoothing and a decision on predictions of runs."""

from collections.abc import Mapping, Sequence

import numpy as np

from kagglekit.config import AUTO, Ensemble
from kagglekit.config.names import DECISIONS, SET_DECISIONS, WITHOUT_FILLER
from kagglekit.data.prepare import Prepared
from kagglekit.ensemble import decisions, smoothing
from kagglekit.ensemble.blend import BlendedRuns, folder_of, identity, read_blend, write_blend
from kagglekit.ensemble.fitted import FittedBlend, to_logits
from kagglekit.ensemble.members import (
    fold_test_logits,
    oof_clips,
    read_oof,
    test_clips,
    test_recordings,
)
from kagglekit.ensemble.methods import METHODS, methods_for
from kagglekit.ensemble.nested_cv import (
    Comparison,
    blends_of_folds,
    compare_decisions,
    compare_methods,
    compare_smoothings,
    smoothed,
)
from kagglekit.errors import ConfigError
from kagglekit.files.faults import unless_refused
from kagglekit.runs.score import score_key
from kagglekit.runs.store import Run
from kagglekit.scoring.cv import accuracy_by_part, score
from kagglekit.scoring.numerics import Floats
from kagglekit.scoring.oof import Oof
from kagglekit.scoring.predictions import predictions
from kagglekit.scoring.task import Task


def best(prepared: Prepared, runs: Sequence[Run]) -> BlendedRuns:
    """Build the best by nested CV of: all runs blended, each model's best run blended, and any single run.

    Arguments and errors as those of `build`.
    """
    metric = prepared.task.metric
    best_of_model = {run.model: run for run in reversed(metric.ranked(runs, lambda run: run.score.oof))}
    sets = [list(best_of_model.values()), list(runs)] if len(best_of_model) < len(runs) else [list(runs)]
    built = [build(prepared, chosen, AUTO, AUTO) for chosen in sets]
    top = metric.ranked(built, lambda one: one.score.oof)[0]  # of equals the one of fewer runs
    single = metric.ranked(runs, lambda run: run.score.oof)[0]
    if len(runs) > 1 and metric.better(single.score.oof, top.score.oof):
        return build(prepared, [single], AUTO, AUTO)
    return top


def build(
    prepared: Prepared, runs: Sequence[Run], method: str | None = None, decision: str | None = None
) -> BlendedRuns:
    """Choose, fit and score a blend on OOF, blend OOF and test predictions, and store the result.

    Args:
        runs: at least one finished run, each on the present clips and folds.
        method: how to blend; "auto" chooses by nested CV; by default config.ensemble's.
        decision: how to decide; likewise.

    Raises:
        ConfigError: the method or the decision does not fit the task.
        KagglekitError: runs with other clips, folds or classes, or with logits that are not finite.
    """
    runs = sorted(runs, key=lambda run: (run.model, run.id))
    key = identity(prepared, runs, method, decision)
    if (stored := read_blend(prepared.workspace, runs, key)) is not None:
        return stored
    oof, task = read_oof(prepared, runs), prepared.task
    clips, tested = oof_clips(prepared), test_clips(prepared)
    comparisons = compare(prepared, oof, method, decision)
    chosen = {one.what: one.chosen for one in comparisons}
    fitted, probs = fit(oof, task, prepared.config.ensemble, chosen)
    by_fold = (fold_test_logits(runs, number) for number in range(prepared.config.validation.folds))
    folds = fitted.test_probs(by_fold, test_recordings(prepared))
    oof_logits = to_logits(probs, task)
    limits = [most for run in runs if (most := run.metrics.get("shift_limit")) is not None]
    last = comparisons[-1]
    nested = to_logits(last.predicted[last.chosen], task).astype(np.float32)
    result = BlendedRuns(
        runs=tuple(runs),
        weights=tuple(float(weight) for weight in fitted.blend.weights),
        method=chosen["method"],
        smoothing=chosen.get("smoothing", smoothing.BASELINE),
        joined=fitted.join.facts(),
        decision=chosen.get("decision", decisions.BASELINE),
        rule=fitted.decide.facts(task.classes) if fitted.decide else {},
        comparisons=tuple(comparisons),
        score=score(nested, clips, prepared.config, folds, min(limits, default=None), fitted=oof_logits),
        folder=folder_of(prepared.workspace, runs),
        test=predictions(tested, to_logits(np.mean(folds, axis=0), task)),
    )
    with unless_refused(f"the ensemble is not kept in {result.folder}"):
        write_blend(result, predictions(clips, oof_logits), key, score_key(prepared.config))
    return result


def fit(oof: Oof, task: Task, settings: Ensemble, chosen: Mapping[str, str]) -> tuple[FittedBlend, Floats]:
    """Fit the chosen method, smoothing and decision on OOF.

    Args:
        oof: of all runs.
        chosen: their names; without a smoothing or a decision, nothing is smoothed or decided.

    Returns:
        What was fitted, and the probabilities that it gives of the OOF rows, (rows, classes).
    """
    blend = methods_for(task)[chosen["method"]](oof, settings)
    blended = oof.with_probs(blend(oof.probs))
    join = smoothing.fit(chosen.get("smoothing", smoothing.BASELINE), blended, task)
    blended = blended.with_probs(join.of(blended))
    (probs,) = blended.probs
    decide = decisions.fit_for(task, chosen["decision"], blended) if "decision" in chosen else None
    if decide is not None:
        probs = decide(probs, oof.ood, oof.share)
    return FittedBlend(blend, join, decide, task), probs


def fit_again(prepared: Prepared, blended: BlendedRuns) -> tuple[FittedBlend, Floats]:
    """Fit a stored blend again on the OOF predictions of its runs, with the same result.

    Returns:
        What was fitted, and the weighted mean of the OOF probabilities, (classes,): what is known of a row
        that cannot be read.

    Raises:
        KagglekitError: as `build`.
    """
    oof = read_oof(prepared, blended.runs)
    names = {"method": blended.method, "smoothing": blended.smoothing, "decision": blended.decision}
    fitted, probs = fit(oof, prepared.task, prepared.config.ensemble, names)
    return fitted, oof.share @ probs


def compare(prepared: Prepared, oof: Oof, method: str | None, decision: str | None) -> list[Comparison]:
    """Compare methods and, where several fit, smoothings and decisions; take the requested ones, or choose.

    Raises:
        ConfigError: as `build`.
    """
    task, settings = prepared.task, prepared.config.ensemble
    method, decision = _requested(prepared, method, decision)
    if len(oof.probs) == 1:
        first = compare_methods(oof, settings, task, ())
        compared = [first._replace(why="there is only one run")]
    else:
        compared = [_taken(compare_methods(oof, settings, task, _names(method)), method)]
    is_smoothed = _is_smoothed(prepared, oof)
    is_decided = len(task.decisions) > 1
    blends = blends_of_folds(oof, settings, task, compared[0].chosen) if is_smoothed or is_decided else {}
    if is_smoothed:
        compared.append(_compare_smoothings(blends, oof, task, settings.smoothing))
        blends = smoothed(blends, task, compared[-1].chosen)
    if is_decided:
        compared.append(_taken(compare_decisions(blends, task, _names(decision)), decision))
    if task.multi:
        return compared
    part = oof_clips(prepared)["part"].to_numpy()
    return [_with_parts(one, oof, part) for one in compared]


def _is_smoothed(prepared: Prepared, oof: Oof) -> bool:
    """Tell whether a smoothing is compared, or applied because competition.yaml names it.

    Raises:
        ConfigError: one is named, and no row of the test is a window.
    """
    named = prepared.config.ensemble.smoothing not in (AUTO, smoothing.BASELINE)
    if test_recordings(prepared)[0] is not None:
        return named or oof.recording is not None
    if named:
        raise ConfigError(
            f"ensemble.smoothing: {prepared.config.ensemble.smoothing} joins the windows of a recording, and "
            "each row of the test is a whole recording",
            hint=f"leave it out, or set it to {AUTO}",
        )
    return False


def _compare_smoothings(blends: Mapping[int, Oof], oof: Oof, task: Task, wanted: str) -> Comparison:
    """Compare smoothings on windows; without any, take the one that is named."""
    if oof.recording is not None:
        return _taken(compare_smoothings(blends, task, _names(wanted)), wanted)
    without = compare_smoothings(blends, task, ())
    return without._replace(
        chosen=wanted,
        why="as requested, without a fit: each row with a label is a whole recording, so CV cannot tell",
        predicted={**without.predicted, wanted: without.predicted[smoothing.BASELINE]},
    )


def _names(requested: str) -> tuple[str] | None:
    """Return the names to compare with the baseline; None: all."""
    return None if requested == AUTO else (requested,)


def _taken(compared: Comparison, requested: str) -> Comparison:
    """Return the comparison with the requested choice, or its own where that is auto."""
    return compared if requested == AUTO else compared._replace(chosen=requested, why="as requested")


def _requested(prepared: Prepared, method: str | None, decision: str | None) -> tuple[str, str]:
    """Return the names of method and decision, each a name or "auto"; the config's where none is given.

    A config's name that does not fit the task is taken as "auto".

    Raises:
        ConfigError: a name that is given does not fit.
    """
    task, settings = prepared.task, prepared.config.ensemble
    methods = (AUTO, *methods_for(task))
    if method is not None and method not in methods:
        raise ConfigError(
            f"--method {method} needs exactly one label per clip",
            hint=f"with several labels per clip: {', '.join(methods)}",
        )
    fitting = (AUTO, *task.decisions)
    if decision is not None and decision not in fitting:
        raise ConfigError(
            f"--decision {decision} {_misfit(task, decision)}", hint=f"those that fit: {', '.join(fitting)}"
        )
    by_method = settings.method if settings.method in methods else AUTO
    by_decision = settings.decision if settings.decision in fitting else AUTO
    return method or by_method, decision or by_decision


def _misfit(task: Task, decision: str) -> str:
    """Return why a decision does not fit a task."""
    if task.multi and decision in SET_DECISIONS:
        return f"needs a metric that judges sets of classes, which {task.metric.name} does not"
    if decision not in DECISIONS:
        return "needs clips with several labels"
    return "needs one label per clip" + ", and a filler class" * (decision not in WITHOUT_FILLER)


def _with_parts(comparison: Comparison, oof: Oof, part: np.ndarray) -> Comparison:
    """Add the accuracy by part of the clips to each result."""
    right = {name: probs.argmax(1) == oof.target for name, probs in comparison.predicted.items()}
    results = tuple(
        one._replace(parts=accuracy_by_part(right[one.name], part, oof.weight)) for one in comparison.results
    )
    return comparison._replace(results=results)


def skipped_methods(task: Task) -> tuple[str, ...]:
    """Return the methods that do not fit a task, since they need exactly one label per clip."""
    return tuple(name for name in METHODS if name not in methods_for(task))
