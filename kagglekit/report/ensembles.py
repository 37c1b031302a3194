"""The page of ensembles: who counts how much, and how alike the models are."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kagglekit.charts.bars import Bar, bars
from kagglekit.charts.matrix import heatmap
from kagglekit.charts.svg import Picture
from kagglekit.ensemble.blend import WEIGHTS
from kagglekit.errors import MissingError
from kagglekit.report.source import Judged, Source

MOST = 16  # models in the picture of correlations


class Member(NamedTuple):
    """A run in an ensemble."""

    model: str
    run: str
    weight: float
    cv: float


class Blend(NamedTuple):
    """An ensemble as it lies on the disk."""

    name: str
    members: tuple[Member, ...]
    cv: float
    low: float
    high: float
    method: str
    decision: str
    present: bool
    """Whether every member is a run of the present clips, so that the scores can be compared."""


def page(source: Source) -> dict[str, Any]:
    """What ensembles.html shows."""
    made = sorted(blends(source, present=False), key=lambda blend: (not blend.present, -blend.cv))
    models = source.best_of_each_model()[:MOST]
    return {
        "ensembles": [{"blend": blend, "weights": weights_picture(blend)} for blend in made],
        "correlation": correlation_picture(source, models) if len(models) > 1 else None,
    }


def blends(source: Source, *, present: bool = True) -> list[Blend]:
    """Every ensemble of several runs; with `present`, only those of runs that the report shows.

    Raises:
        MissingError: a weights.json is damaged.
    """
    shown = {judged.name for judged in source.runs}
    found = []
    for path in sorted(source.workspace.ensembles.glob(f"*/{WEIGHTS}")):
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            members = tuple(Member(**{k: one[k] for k in Member._fields}) for one in record["members"])
            cv, low, high = (float(record[name]) for name in ("cv", "low", "high"))
            fits = all(f"{member.model}/{member.run}" in shown for member in members)
            choices = str(record.get("method", "")), str(record.get("decision", ""))
            found.append(Blend(path.parent.name, members, cv, low, high, *choices, fits))
        except (ValueError, LookupError, TypeError) as error:
            hint = f"remove the folder {path.parent} and blend again: kagglekit ensemble"
            raise MissingError(f"{path} cannot be read: {error}", hint=hint) from error
    several = [blend for blend in found if len(blend.members) > 1]  # `submit` makes one of a single run, too
    return [blend for blend in several if blend.present or not present]


def options(source: Source, blend: Blend) -> str:
    """What makes `submit` send this ensemble, whatever is trained by then."""
    best = {judged.run.model: judged.run.id for judged in reversed(source.runs)}
    names = [m.model if best.get(m.model) == m.run else f"{m.model}/{m.run}" for m in blend.members]
    choices = [
        f"--{name} {choice}"
        for name, choice in (("method", blend.method), ("decision", blend.decision))
        if choice
    ]
    return " ".join([f"--ensemble {','.join(names)}", *choices])


def weights_picture(blend: Blend) -> Picture:
    """A bar for each member."""
    rows = [
        Bar(member.model, [member.weight], f"{member.weight:.2f}, CV {member.cv:.4f}")
        for member in sorted(blend.members, key=lambda member: -member.weight)
    ]
    return bars(rows, title=f"Weights of {blend.name}", high=1.0)


def correlations(source: Source, models: list[Judged]) -> NDArray[np.float64]:
    """(models, models): Pearson's correlation of the probabilities that models give the true classes.

    The lower it is between two good models, the more their mean gains. NaN where one is constant.
    """
    truth = np.stack([judged.probs[source.truth] for judged in models])
    centred = truth.astype(np.float64) - truth.mean(1, keepdims=True, dtype=np.float64)
    norm = np.sqrt(np.square(centred).sum(1))
    norm[norm < 1e-9] = np.nan
    result: NDArray[np.float64] = centred @ centred.T / np.outer(norm, norm)
    return result


def correlation_picture(source: Source, models: list[Judged]) -> Picture:
    """`correlations` as a heatmap."""
    names = [judged.run.model for judged in models]
    return heatmap(correlations(source, models), names, title="Correlation of the models")
