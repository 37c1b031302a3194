"""The ensembling lab: every method's and every decision's honest score, and the ones to take.

Nested cross-validation by fold: each fold's clips are blended and decided by what was fitted on the other
folds. The bootstrap over speakers says how sure that is, and how sure the difference to the plain way; what
is inside the noise of the plain way loses to it, since there is nothing that the plain way fitted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from kagglekit.config import Ensemble
from kagglekit.ensemble import decisions, methods
from kagglekit.ensemble.blends import Floats, log_of
from kagglekit.ensemble.decisions import DECISIONS
from kagglekit.ensemble.methods import METHODS, Oof
from kagglekit.parallel.processes import cores
from kagglekit.scoring.bootstrap import resample
from kagglekit.scoring.calibration import Answers

NOISE = 2.0  # standard errors that a gain must be above
SLOW_FIRST = ("caruana", "hillclimb_negative", "hillclimb")  # so that no core waits for the last of them

Fill = Callable[[str, NDArray[np.bool_]], Floats]
"""Given a name and which clips to judge (clips,): their blend, fitted on the others."""


class Judged(NamedTuple):
    """A method or decision, by clips that had no say in it."""

    name: str
    accuracy: float
    low: float
    """Lower end of its 95 % interval, speakers drawn."""
    high: float
    gain: float
    """Over the plain one."""
    error: float
    """Standard error of the gain."""
    honest: Floats
    """(clips, classes), each fold's clips as the other folds say."""

    @property
    def beyond_noise(self) -> bool:
        """Whether the gain is more than two standard errors."""
        return self.gain > NOISE * self.error


class Table(NamedTuple):
    """All methods, or all decisions, beside each other."""

    judged: tuple[Judged, ...]
    """The most accurate first."""
    plain: str
    """What the others must beat."""
    chosen: str
    why: str

    def of(self, name: str) -> Judged:
        """One of them."""
        return next(judged for judged in self.judged if judged.name == name)


def compare_methods(
    oof: Oof, speaker: NDArray[Any], settings: Ensemble, names: Sequence[str] = tuple(METHODS)
) -> Table:
    """Judge ways to blend, and choose.

    Args:
        oof: of the runs to blend; of one run, every method is the run.
        speaker: (clips,), who the bootstrap draws.
        settings: rounds, bags and seed of those that select.
        names: of methods; the plain mean is always among those judged.
    """
    folds = {int(number): oof.of(oof.fold != number) for number in np.unique(oof.fold)}

    def fill(name: str, here: NDArray[np.bool_]) -> Floats:
        rest = folds[int(oof.fold[here][0])]
        return METHODS[name].fit(rest, settings)(oof.probs[:, here])

    names = list(dict.fromkeys([methods.PLAIN, *names]))
    return choose(judge(_nested(oof, names, fill), oof, speaker, methods.PLAIN), methods.PLAIN)


def compare_decisions(
    oof: Oof,
    signs: Floats,
    filler: int,
    speaker: NDArray[Any],
    settings: Ensemble,
    method: str,
    names: Sequence[str] = tuple(DECISIONS),
) -> Table:
    """Judge what may be done to a method's blend before its argmax, and choose.

    A decision is fitted on the other folds' blend, which the method fitted on the same folds: what judges
    it saw neither.

    Args:
        oof, speaker, settings: as for `compare_methods`.
        signs: (clips, 3), as `decisions.measure_signs` has them.
        filler: index of the filler class.
        method: how the runs are blended.
        names: of decisions; the largest probability is always among those judged.
    """
    blends = {}
    for number in np.unique(oof.fold):
        blend = METHODS[method].fit(oof.of(oof.fold != number), settings)
        blends[int(number)] = blend(oof.probs)

    def fill(name: str, here: NDArray[np.bool_]) -> Floats:
        blend = blends[int(oof.fold[here][0])]
        rest = Answers(log_of(blend[~here]), oof.target[~here], oof.weight[~here])
        decide = decisions.fit(name, rest, signs[~here], filler)
        return decide(blend[here], signs[here], oof.weight[here] / oof.weight[here].sum())

    names = list(dict.fromkeys([decisions.PLAIN, *names]))
    return choose(judge(_nested(oof, names, fill), oof, speaker, decisions.PLAIN), decisions.PLAIN)


def _nested(oof: Oof, names: Sequence[str], fill: Fill) -> dict[str, Floats]:
    """Each name's (clips, classes), fold by fold.

    Folds and names are independent, and NumPy lets go of the interpreter: they share the cores.
    """
    honest = {name: np.empty(oof.probs.shape[1:], np.float32) for name in names}

    def work(job: tuple[str, NDArray[np.bool_]]) -> None:
        name, here = job
        honest[name][here] = fill(name, here)

    order = sorted(names, key=lambda name: name not in SLOW_FIRST)
    jobs = [(name, oof.fold == number) for name in order for number in np.unique(oof.fold)]
    # BLAS would give each of them all cores once more, and spin: 24 s of CPU instead of 15 (docs/LOG.md)
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(cores()) as pool:
        list(pool.map(work, jobs))
    return honest


def judge(honest: Mapping[str, Floats], oof: Oof, speaker: NDArray[Any], plain: str) -> list[Judged]:
    """Weighted accuracies with their intervals, and the gains over the plain one; the best first."""
    right = np.stack([blend.argmax(1) == oof.target for blend in honest.values()], axis=1).astype(float)
    share = oof.weight / oof.weight.sum()
    accuracy, draws = share @ right, resample(right, oof.weight, speaker)
    low, high = np.percentile(draws, [2.5, 97.5], axis=0)
    base = list(honest).index(plain)
    error = (draws - draws[:, [base]]).std(0)
    gain = accuracy - accuracy[base]
    judged = [
        Judged(
            name, float(accuracy[i]), float(low[i]), float(high[i]), float(gain[i]), float(error[i]), blend
        )
        for i, (name, blend) in enumerate(honest.items())
    ]
    return sorted(judged, key=lambda one: (-one.accuracy, one.name != plain))


def choose(judged: Sequence[Judged], plain: str) -> Table:
    """The best beyond noise, else the plain one."""
    best = judged[0]
    better = [one for one in judged if one.beyond_noise]
    if better:
        gain = f"{100 * better[0].gain:+.2f} ± {100 * better[0].error:.2f} points over {plain}"
        return Table(tuple(judged), plain, better[0].name, f"{gain}, more than {NOISE:g} standard errors")
    if best.gain <= 0:
        return Table(tuple(judged), plain, plain, "nothing is better")
    gain = f"{best.name} gains {100 * best.gain:+.2f} ± {100 * best.error:.2f} points"
    return Table(tuple(judged), plain, plain, f"{gain}, which is within {NOISE:g} standard errors of it")
