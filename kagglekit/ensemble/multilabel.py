"""Blends where a clip may have several labels: judged, nested by fold, by the competition's metric of ranks.

The methods that fit on one right class a clip, and decisions before an argmax, have nothing to say here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kagglekit.config import AUTO
from kagglekit.data.prepare import Prepared
from kagglekit.ensemble import decisions
from kagglekit.ensemble.blend import Ensemble, keep, read_members, record_of
from kagglekit.ensemble.blends import Blend, Floats, Mean
from kagglekit.ensemble.methods import METHODS
from kagglekit.ensemble.nested_cv import Judged, Table, choose
from kagglekit.errors import ConfigError
from kagglekit.runs.store import Run, fold_probs
from kagglekit.scoring.cv import score, source_of
from kagglekit.scoring.metrics import METRICS, Metric, Truth, left_out, standard_error
from kagglekit.scoring.numerics import sigmoid
from kagglekit.scoring.task import Task

PLAIN = "mean"


class Known(NamedTuple):
    """What some runs said of clips, and what was right."""

    probs: Floats
    """(runs, clips, classes)."""
    truth: Truth
    """(clips, classes)."""
    metric: Metric
    rounds: int
    """Members that a selection picks."""


@dataclass(frozen=True)
class MeanLogit:
    """The probabilities whose logits are the weighted mean of the runs'."""

    weights: Floats

    def __call__(self, probs: Floats) -> Floats:
        return sigmoid(np.tensordot(self.weights, logit(probs), axes=1))


def logit(probs: Floats) -> Floats:
    """Logits of probabilities, which are kept a millionth away from 0 and 1."""
    inside = probs.astype(np.float64).clip(1e-6, 1 - 1e-6)
    found: Floats = np.log(inside) - np.log1p(-inside)
    return found


def _even(known: Known) -> Floats:
    return np.full(len(known.probs), 1 / len(known.probs))


def _greedy(known: Known) -> Floats:
    """Selection with replacement (Caruana et al. 2004): each round the run that lifts the metric most; the
    shortest of the best prefixes."""
    picks: list[int] = []
    scores: list[float] = []
    total = np.zeros(known.probs.shape[1:])
    for _ in range(known.rounds):
        tried = [known.metric(known.truth, total + probs) for probs in known.probs]
        picks.append(int(np.argmax(tried)))
        scores.append(max(tried))
        total += known.probs[picks[-1]]
    best = picks[: int(np.argmax(scores)) + 1]
    return np.bincount(best, minlength=len(known.probs)) / len(best)


BLENDS: dict[str, Callable[[Known], Blend]] = {
    PLAIN: lambda known: Mean(_even(known)),
    "geometric": lambda known: MeanLogit(_even(known)),
    "greedy": lambda known: Mean(_greedy(known)),
}
"""Those of METHODS that a metric of ranks can judge and, where they select, be selected by."""
LEFT_OUT = tuple(name for name in METHODS if name not in BLENDS)
"""The others of METHODS."""
WHY_LEFT_OUT = "need one right class a clip"  # to be fitted to, or as their logits compete within a clip


def build(
    prepared: Prepared,
    runs: Sequence[Run],
    method: str | None,
    decision: str | None,
    key: str,
) -> Ensemble:
    """As `ensemble.build.build`, which calls this with the ensemble's identity.

    Raises:
        ConfigError: a method or decision that is of clips with one label each.
        KagglekitError: as there.
    """
    usual = prepared.config.ensemble.method if prepared.config.ensemble.method in BLENDS else AUTO
    method = method or usual
    if method not in (AUTO, *BLENDS) or decision not in (None, AUTO, decisions.PLAIN):
        raise ConfigError(
            f"--method {method} --decision {decision or AUTO}: these clips may have several labels each",
            hint=f"methods here: {AUTO}, {', '.join(BLENDS)}; there is no decision to take",
        )
    members = read_members(prepared, runs)
    truth = Task.of(prepared.config).truth(members.clips["label"])
    known = Known(
        sigmoid(members.logits),
        truth,
        METRICS[prepared.config.competition.metric],
        prepared.config.ensemble.rounds,
    )
    table = _compared(known, members.clips["fold"].to_numpy(), source_of(members.clips), method)
    blend = BLENDS[table.chosen](known)
    folds = [
        blend(np.stack([fold_probs(run.folder, number) for run in runs]))
        for number in range(prepared.config.validation.folds)
    ]
    result = score(logit(table.of(table.chosen).honest).astype(np.float32), members.clips, prepared.config)
    by_part: dict[str, dict[str, float]] = {one.name: {} for one in table.judged}
    record = record_of(key, runs, blend, [table], [by_part], (table.chosen, decisions.PLAIN), result)
    test = logit(np.mean(folds, axis=0))
    name, folder, kept = keep(
        prepared.workspace, runs, members.clips, members.test_clips, logit(blend(known.probs)), test, record
    )
    weights = tuple(float(w) for w in blend.weights)
    return Ensemble(
        name, tuple(runs), weights, table.chosen, decisions.PLAIN, (table,), (by_part,), result, folder, kept
    )


def _compared(known: Known, fold: NDArray[np.int32], source: NDArray[np.int64], method: str) -> Table:
    """Each method by clips that had no say in it, with its jackknife's error; and what is taken."""
    names = list(BLENDS) if method == AUTO else list(dict.fromkeys([PLAIN, method]))
    if len(known.probs) == 1:
        names, method = [PLAIN], PLAIN
    honest = {name: np.empty(known.truth.shape) for name in names}
    for number in np.unique(fold):
        here = fold == number
        rest = known._replace(probs=known.probs[:, ~here], truth=known.truth[~here])
        for name in names:
            honest[name][here] = BLENDS[name](rest)(known.probs[:, here])
    without = {name: left_out(known.metric, known.truth, blend, source) for name, blend in honest.items()}
    values = {name: known.metric(known.truth, blend) for name, blend in honest.items()}
    judged = []
    for name, value in values.items():
        margin = 1.96 * standard_error(without[name])
        error = standard_error(without[name] - without[PLAIN])
        gain = value - values[PLAIN]
        low, high = max(value - margin, 0.0), min(value + margin, 1.0)
        judged.append(Judged(name, value, low, high, gain, error, honest[name]))
    judged.sort(key=lambda one: (-one.accuracy, one.name != PLAIN))
    table = choose(judged, PLAIN)
    if method == AUTO:
        return table
    why = "as there is one run" if len(known.probs) == 1 else "as asked"
    return table._replace(chosen=method, why=why)
