"""A fitted blend: what is done with its members' logits, fold by fold, here and in a notebook of the host."""

from collections.abc import Iterable
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np

from kagglekit.ensemble.blends import Blend, Geometric, Logit, Mean, MeanLogit, Quantile, Rank
from kagglekit.ensemble.decisions import Decision, Distance, Parts, Rule, ood_scores
from kagglekit.ensemble.set_decisions import SetDecision
from kagglekit.ensemble.smoothing import Smoothing
from kagglekit.scoring.numerics import Floats, log_probs, logit, sigmoid, softmax
from kagglekit.scoring.oof import Ints
from kagglekit.scoring.task import Task

KINDS: dict[str, Any] = {
    kind.__name__: kind
    for kind in (
        *(Mean, Geometric, MeanLogit, Rank, Quantile, Logit),
        *(Smoothing, Decision, Parts, Distance, SetDecision),
    )
}
"""What a record may contain."""
DTYPES = ("float64", "float32")

Place = tuple[Ints, Floats] | tuple[None, None]
"""Number of each row's recording and its place in time; None where no recording has two rows."""


@dataclass(frozen=True)
class FittedBlend:
    """Method, smoothing and decision as they were fitted on OOF."""

    blend: Blend
    join: Smoothing
    decide: Rule | None
    """None: nothing is decided."""
    task: Task

    def test_probs(self, folds: Iterable[Floats], place: Place) -> list[Floats]:
        """Return the probabilities (rows, classes) of each fold's models; their mean is the prediction.

        Args:
            folds: of each fold, the logits of all members, (members, rows, classes).
            place: of the rows.
        """
        return [self._fold(logits, place) for logits in folds]

    def _fold(self, logits: Floats, place: Place) -> Floats:
        probs = self.blend(probs_to_blend(logits, self.task))
        if place[0] is not None and not self.join.is_plain:
            probs = self.join(probs, *place)
        if self.decide is None:
            return probs
        share = np.full(len(probs), 1 / max(len(probs), 1))
        return self.decide(probs, ood_of(logits, self.task), share)

    def logits(self, probs: Floats) -> Floats:
        """Turn the blend's probabilities into its logits."""
        return to_logits(probs, self.task)

    def record(self) -> dict[str, Any]:
        """Return a JSON-serialisable dict of all that was fitted."""
        return {name: _packed(getattr(self, name)) for name in ("blend", "join", "decide")}

    @classmethod
    def read(cls, record: dict[str, Any], task: Task) -> "FittedBlend":
        """Return what `record` wrote.

        Raises:
            ValueError: it has another shape.
        """
        try:
            blend, join, decide = (_unpacked(record[name]) for name in ("blend", "join", "decide"))
        except (LookupError, TypeError, AttributeError) as error:
            raise ValueError(f"the fitted blend has another shape: {error}") from error
        return cls(blend, join, decide, task)


def probs_to_blend(logits: Floats, task: Task) -> Floats:
    """Turn logits into the probabilities that blends take.

    Softmax keeps float32, which halves the memory of many runs; sigmoid gives float64, since ranks of
    probabilities near 1 would tie in float32.
    """
    return sigmoid(logits) if task.multi else softmax(logits, dtype=None)


def ood_of(logits: Floats, task: Task) -> Floats:
    """Return the OOD scores that decisions take, (clips, scores); none where a clip may have many classes."""
    return np.empty((logits.shape[1], 0)) if task.multi else ood_scores(logits)


def to_logits(probs: Floats, task: Task) -> Floats:
    """Turn a blend's probabilities into its logits."""
    return logit(probs) if task.multi else log_probs(probs)


def _packed(value: Any) -> Any:
    """Return a value of KINDS, or a field of one, as JSON."""
    if isinstance(value, np.ndarray):
        return {"dtype": str(value.dtype), "values": value.tolist()}
    if type(value).__name__ in KINDS:
        names = [one.name for one in fields(value)] if is_dataclass(value) else value._fields
        return {"kind": type(value).__name__, **{name: _packed(getattr(value, name)) for name in names}}
    return value


def _unpacked(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(value)
    if not isinstance(value, dict):
        return value
    if "kind" in value:
        return KINDS[value["kind"]](**{k: _unpacked(v) for k, v in value.items() if k != "kind"})
    if value["dtype"] not in DTYPES:
        raise ValueError(f"an array of {value['dtype']}")
    return np.asarray(value["values"], value["dtype"])
