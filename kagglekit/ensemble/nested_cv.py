"""Nested cross-validation: the score of every method, smoothing and decision, and the choice between them.

Each fold's clips are blended, smoothed and decided by what was fitted on the other folds. The interval of a
score, and of its gain over the baseline, comes from drawing speakers. What is not better beyond noise loses
to the baseline, for which nothing is fitted.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from kagglekit.config import Ensemble
from kagglekit.ensemble import decisions, methods, smoothing
from kagglekit.ensemble.methods import methods_for
from kagglekit.parallel.processes import cores
from kagglekit.scoring.bootstrap import resample
from kagglekit.scoring.jackknife import jackknife_error, leave_groups_out
from kagglekit.scoring.metrics import Metric
from kagglekit.scoring.numerics import SAME, Floats
from kagglekit.scoring.oof import Oof
from kagglekit.scoring.task import Task

NOISE = 2.0  # standard errors that a gain must exceed
SLOW_FIRST = ("caruana", "hillclimb_negative", "hillclimb")  # so that no core waits for the last of them

Predict = Callable[[str, NDArray[np.bool_]], Floats]
"""Given a name and the clips to predict (clips,), return their probabilities, fitted on all others."""


class NestedResult(NamedTuple):
    """A method or decision with its score by nested cross-validation."""

    name: str
    accuracy: float
    """Weighted accuracy, or the competition's metric."""
    low: float
    """Lower end of its 95 % interval."""
    high: float
    gain: float
    """Over the baseline, positive where the result is better."""
    error: float
    """Standard error of the gain."""
    parts: Mapping[str, float] = {}
    """Weighted accuracy by part of the clips."""

    @property
    def beyond_noise(self) -> bool:
        """Whether the gain exceeds two standard errors, and rounding where there is no error."""
        return self.gain > NOISE * self.error + SAME


class Comparison(NamedTuple):
    """All methods, or all decisions, side by side."""

    what: str
    """What is chosen: method, smoothing or decision."""
    results: tuple[NestedResult, ...]
    """The best first."""
    baseline: str
    chosen: str
    why: str
    predicted: Mapping[str, Floats] = {}
    """(clips, classes) of each result, each fold's clips by what was fitted on the other folds; none where
    the comparison was read from a file."""

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable dict of all but the predictions."""
        results = [one._asdict() for one in self.results]
        return {
            "what": self.what,
            "results": results,
            "baseline": self.baseline,
            "chosen": self.chosen,
            "why": self.why,
        }

    def result(self, name: str) -> NestedResult:
        """Return one of the results."""
        return next(one for one in self.results if one.name == name)


def compare_methods(
    oof: Oof, settings: Ensemble, task: Task, names: Iterable[str] | None = None
) -> Comparison:
    """Score the baseline and the methods to blend in `names`, by default all, and choose one."""
    known = methods_for(task)
    rest = {int(number): oof.select(oof.fold != number) for number in np.unique(oof.fold)}

    def predict(name: str, here: NDArray[np.bool_]) -> Floats:
        return known[name](rest[int(oof.fold[here][0])], settings)(oof.probs[:, here])

    return _compare("method", oof, task, methods.BASELINE, known if names is None else names, predict)


def blends_of_folds(oof: Oof, settings: Ensemble, task: Task, method: str) -> dict[int, Oof]:
    """Return for each fold all rows, blended by what the method fitted on the other folds."""
    blends = {}
    for number in np.unique(oof.fold):
        blend = methods_for(task)[method](oof.select(oof.fold != number), settings)
        blends[int(number)] = oof.with_probs(blend(oof.probs))
    return blends


def smoothed(blends: Mapping[int, Oof], task: Task, name: str) -> dict[int, Oof]:
    """Return the same rows, smoothed by what was fitted on the other folds."""
    return {
        number: blend.with_probs(smoothing.fit(name, blend.select(blend.fold != number), task).of(blend))
        for number, blend in blends.items()
    }


def compare_smoothings(
    blends: Mapping[int, Oof], task: Task, names: Iterable[str] | None = None
) -> Comparison:
    """Score the baseline and `names`, by default all, on the blends of `blends_of_folds`, and choose one."""
    oof = next(iter(blends.values()))

    def predict(name: str, here: NDArray[np.bool_]) -> Floats:
        blend = blends[int(oof.fold[here][0])]
        return smoothing.fit(name, blend.select(~here), task).of(blend.select(here))

    names = smoothing.OPTIONS if names is None else names
    return _compare("smoothing", oof, task, smoothing.BASELINE, names, predict)


def compare_decisions(
    blends: Mapping[int, Oof], task: Task, names: Iterable[str] | None = None
) -> Comparison:
    """Score the baseline and `names`, by default all that fit, on the blends of each fold, and choose one.

    A decision is fitted on the other folds' blend, which method and smoothing fitted on the same folds: none
    has seen the clips that judge it.
    """
    oof = next(iter(blends.values()))

    def predict(name: str, here: NDArray[np.bool_]) -> Floats:
        blend = blends[int(oof.fold[here][0])]
        decide = decisions.fit_for(task, name, blend.select(~here))
        clips = blend.select(here)
        return decide(clips.probs[0], clips.ood, clips.share)

    names = task.decisions if names is None else names
    return _compare("decision", oof, task, decisions.BASELINE, names, predict)


def _compare(
    what: str, oof: Oof, task: Task, baseline: str, names: Iterable[str], predict: Predict
) -> Comparison:
    """Predict every fold by each name, the baseline included, score the predictions, and choose."""
    predicted = _predict_folds(oof, list(dict.fromkeys([baseline, *names])), predict)
    interval = _jackknife if task.metric.name != "accuracy" else _bootstrap
    compared = choose(what, interval(oof, task, baseline, predicted), baseline, task.metric)
    return compared._replace(predicted=predicted)


def _predict_folds(oof: Oof, names: Sequence[str], predict: Predict) -> dict[str, Floats]:
    """Predict each name's (clips, classes), fold by fold.

    Folds and names are independent, and NumPy releases the interpreter lock: they share the cores.
    """
    predicted = {name: np.empty(oof.probs.shape[1:], oof.probs.dtype) for name in names}

    def work(job: tuple[str, NDArray[np.bool_]]) -> None:
        name, here = job
        predicted[name][here] = predict(name, here)

    order = sorted(names, key=lambda name: name not in SLOW_FIRST)
    jobs = [(name, oof.fold == number) for name in order for number in np.unique(oof.fold)]
    # BLAS would give each of them all cores once more, and spin: 24 s of CPU instead of 15 (docs/LOG.md)
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(cores()) as pool:
        list(pool.map(work, jobs))
    return predicted


def _bootstrap(oof: Oof, task: Task, baseline: str, predicted: dict[str, Floats]) -> list[NestedResult]:
    """Compute weighted accuracies, with errors by a bootstrap over speakers."""
    right = np.stack([probs.argmax(1) == oof.target for probs in predicted.values()], axis=1).astype(float)
    accuracy, draws = oof.share @ right, resample(right, oof.weight, oof.group)
    low, high = np.percentile(draws, [2.5, 97.5], axis=0)
    base = list(predicted).index(baseline)
    error = (draws - draws[:, [base]]).std(0)
    return _results(task.metric, list(predicted), base, accuracy, low, high, error)


def _jackknife(oof: Oof, task: Task, baseline: str, predicted: dict[str, Floats]) -> list[NestedResult]:
    """Compute a metric other than accuracy, with errors by a jackknife over speakers."""
    metric, truth = task.metric, task.one_hot(oof.target)
    weight = oof.weight if metric.weighted else None
    values = np.array([metric(truth, probs, weight, oof.known) for probs in predicted.values()])
    without = [
        leave_groups_out(metric, truth, probs, oof.group, weight, oof.known) for probs in predicted.values()
    ]
    base = list(predicted).index(baseline)
    margin = np.array([1.96 * jackknife_error(one) for one in without])
    error = np.array([jackknife_error(one - without[base]) for one in without])
    ends = [np.clip(end, metric.low, metric.high) for end in (values - margin, values + margin)]
    return _results(metric, list(predicted), base, values, *ends, error)


def _results(
    metric: Metric, names: Sequence[str], base: int, value: Floats, *columns: Floats
) -> list[NestedResult]:
    """Gather results, the best first, of equals the baseline; arrays (names,): value, low, high and error."""
    gains = np.array([metric.gain(v, value[base]) for v in value])
    table = zip(names, value, *columns, gains, strict=True)
    results = [
        NestedResult(name, float(v), float(low), float(high), float(gain), float(error))
        for name, v, low, high, error, gain in table
    ]
    baseline = results.pop(base)
    return metric.ranked([baseline, *results], lambda one: one.accuracy)


def choose(what: str, results: Sequence[NestedResult], baseline: str, metric: Metric) -> Comparison:
    """Choose the best that is better beyond noise, else the baseline."""
    better = next((one for one in results if one.beyond_noise), None)
    best = better or results[0]
    gain = metric.points(best.gain, best.error)
    why = f"{best.name} gains {gain}, which is within {NOISE:g} standard errors of it"
    if better:
        why = f"{gain} over {baseline}, more than {NOISE:g} standard errors"
    elif best.gain <= SAME:
        why = "nothing is better"
    return Comparison(what, tuple(results), baseline, better.name if better else baseline, why)
