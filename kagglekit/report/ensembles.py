"""The ensembles page: the weights of each blend, and the correlation of the models."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kagglekit.charts.bars import Bar, bars
from kagglekit.charts.matrix import heatmap
from kagglekit.charts.svg import Picture
from kagglekit.ensemble.blend import WEIGHTS, read_record
from kagglekit.ensemble.rules import describe
from kagglekit.errors import MissingError
from kagglekit.files.json_shape import shaped
from kagglekit.report.source import ReportRun, Source
from kagglekit.runs.score import score_key

MOST = 16  # models in the correlation matrix


class BlendMember(NamedTuple):
    """A run of an ensemble with its weight."""

    model: str
    run: str
    weight: float
    cv: float


class SavedBlend(NamedTuple):
    """An ensemble as weights.json records it."""

    name: str
    members: tuple[BlendMember, ...]
    cv: float
    low: float
    high: float
    method: str
    decision: str
    rule: str
    """What the decision was fitted to; empty where nothing was."""
    present: bool
    """Whether it was scored by the present metric, and every member was trained on the current clips."""


def page(source: Source) -> dict[str, Any]:
    """Compute what ensembles.html shows."""
    order = source.prepared.task.metric.order
    saved = sorted(blends(source, present=False), key=lambda blend: (not blend.present, -order(blend.cv)))
    models = source.best_run_per_model()[:MOST]
    return {
        "ensembles": [{"blend": blend, "weights": weights_chart(blend)} for blend in saved],
        "correlation": correlation_chart(source, models) if len(models) > 1 else None,
    }


def blends(source: Source, *, present: bool = True) -> list[SavedBlend]:
    """Read every ensemble of two or more runs; with `present`, only those of runs that the report shows.

    Raises:
        MissingError: a weights.json is damaged.
    """
    shown = {report_run.name for report_run in source.runs}
    saved = []
    for path in sorted(source.workspace.ensembles.glob(f"*/{WEIGHTS}")):
        try:
            record = read_record(path)
            members = shaped(tuple[BlendMember, ...], record["members"])
            cv, low, high = (shaped(float, record[name]) for name in ("cv", "low", "high"))
            fits = all(f"{member.model}/{member.run}" in shown for member in members)
            fits &= record.get("score_key") == score_key(source.config)
            choices = str(record.get("method", "")), str(record.get("decision", ""))
            rule = describe(record.get("joined", {}), record.get("rule", {}))
            saved.append(SavedBlend(path.parent.name, members, cv, low, high, *choices, rule, fits))
        except (ValueError, LookupError, TypeError) as error:
            hint = f"remove the folder {path.parent} and blend again: kagglekit ensemble"
            raise MissingError(f"{path} cannot be read: {error}", hint=hint) from error
    several = [blend for blend in saved if len(blend.members) > 1]  # `submit` saves one for a single run, too
    return [blend for blend in several if blend.present or not present]


def options(source: Source, blend: SavedBlend) -> str:
    """Return the options by which `submit` sends this ensemble, even when other runs are trained later."""
    best = {report_run.run.model: report_run.run.id for report_run in reversed(source.runs)}
    names = [m.model if best.get(m.model) == m.run else f"{m.model}/{m.run}" for m in blend.members]
    named = {"ensemble": ",".join(names), "method": blend.method, "decision": blend.decision}
    return " ".join(f"--{name} {choice}" for name, choice in named.items() if choice)


def weights_chart(blend: SavedBlend) -> Picture:
    """Draw a bar for the weight of each member."""
    rows = [
        Bar(member.model, [member.weight], f"{member.weight:.2f}, CV {member.cv:.4f}")
        for member in sorted(blend.members, key=lambda member: -member.weight)
    ]
    return bars(rows, title=f"Weights of {blend.name}", high=1.0)


def correlations(source: Source, models: list[ReportRun]) -> NDArray[np.float64]:
    """Compute Pearson's correlation of the probabilities that two models give the true classes.

    The lower it is between two good models, the more their mean gains.

    Returns:
        (models, models); NaN where the probabilities of a model are constant.
    """
    truth = np.stack([report_run.probs[source.truth] for report_run in models])
    centred = truth.astype(np.float64) - truth.mean(1, keepdims=True, dtype=np.float64)
    norm = np.sqrt(np.square(centred).sum(1))
    norm[norm < 1e-9] = np.nan
    result: NDArray[np.float64] = centred @ centred.T / np.outer(norm, norm)
    return result


def correlation_chart(source: Source, models: list[ReportRun]) -> Picture:
    """Draw `correlations` as a heatmap."""
    names = [report_run.run.model for report_run in models]
    return heatmap(correlations(source, models), names, title="Correlation between models")
