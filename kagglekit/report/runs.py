"""The runs page: each run's confusions, accuracy by part and class, learning curves and calibration."""

import math
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kagglekit.charts.bars import Bar, bars
from kagglekit.charts.curves import Series, curves
from kagglekit.charts.matrix import confusion
from kagglekit.charts.svg import Picture
from kagglekit.report.source import ReportRun, Source
from kagglekit.scoring.task import PARTS

BINS = 10  # of confidence
LEAST_IN_BIN = 5  # clips; a bin with fewer is not drawn
MOST_PAIRS = 12
MOST_BARS = 60  # classes in a chart
MOST_CLASSES, LEAST_CLASSES = 60, 20  # in a confusion matrix, fewer where there are many runs
MOST_CELLS = 15_000  # in one matrix of each run together; two of them take 5 MB


def page(source: Source) -> dict[str, Any]:
    """Compute what runs.html shows."""
    return {"runs": [_run(source, report_run) for report_run in source.runs], "left_out": source.left_out}


def _run(source: Source, report_run: ReportRun) -> dict[str, Any]:
    run, curve = report_run.run, reliability(source, report_run)
    return {
        "name": report_run.name,
        "score": run.score,
        "metrics": run.metrics,
        "curves": learning_curves(report_run),
        "reliability": reliability_diagram(curve, several=source.several),
        "ece": curve.ece,
        **(_by_class(report_run) if source.several else _by_confusion(source, report_run)),
    }


def _by_class(report_run: ReportRun) -> dict[str, Any]:
    """Compute the charts of a task with several labels a clip, where classes are not confused but ranked."""
    return {
        "percent": None,
        "counts": None,
        "parts": None,
        "pairs": [],
        "classes": precision_bars(report_run),
    }


def _by_confusion(source: Source, report_run: ReportRun) -> dict[str, Any]:
    """Compute the charts of a task with one label a clip."""
    pairs = confused_pairs(source, report_run)
    shown, kept = drawn_classes(source, pairs)
    counts = confusion_counts(source, report_run)[np.ix_(shown, shown)]
    names = [source.classes[k] for k in shown]
    return {
        "percent": confusion(counts, names, percent=True, title=f"Confusion matrix, % of each row{kept}"),
        "counts": confusion(counts, names, percent=False, title=f"Confusion matrix, clips{kept}"),
        "parts": _accuracy_bars(source, report_run, "part", PARTS, "Accuracy by part"),
        "classes": _accuracy_bars(source, report_run, "label", source.classes, "Accuracy by class"),
        "pairs": pairs[:MOST_PAIRS],
    }


def precision_bars(report_run: ReportRun) -> Picture | None:
    """Draw the average precision of each class, the lowest first; None where no class has clips."""
    worst_first = sorted(report_run.run.score.parts.items(), key=lambda pair: pair[1])
    rows = [Bar(name, [precision], f"{precision:.3f}") for name, precision in worst_first]
    return (
        bars(rows[:MOST_BARS], title=_title("Average precision by class", rows), high=1.0) if rows else None
    )


def _title(title: str, rows: list[Bar]) -> str:
    """Return the title of bars, of which the lowest are shown."""
    return title if len(rows) <= MOST_BARS else f"{title}, the {MOST_BARS} lowest of {len(rows):,}"


def confusion_counts(source: Source, report_run: ReportRun) -> NDArray[np.int64]:
    """Count clips by true class and predicted class, (classes, classes)."""
    classes = len(source.classes)
    predicted = report_run.probs.argmax(1)
    return np.bincount(source.target * classes + predicted, minlength=classes**2).reshape(classes, classes)


class Pair(NamedTuple):
    """A confusion of two classes."""

    true: str
    predicted: str
    clips: int
    share: float
    """Share of the true class's clips."""
    lost: float
    """Share of the CV score."""


def drawn_classes(source: Source, pairs: list[Pair]) -> tuple[list[int], str]:
    """Return which classes the confusion matrix of a run shows, in order, and what its title says of it.

    A matrix of many classes is not read and makes the file large: it has those of the costliest confusions.
    """
    most = min(max(math.isqrt(MOST_CELLS // max(len(source.runs), 1)), LEAST_CLASSES), MOST_CLASSES)
    if len(source.classes) <= most:
        return list(range(len(source.classes))), ""
    confused = dict.fromkeys(name for pair in pairs for name in (pair.true, pair.predicted))
    chosen = set(list(dict.fromkeys((*confused, *source.classes)))[:most])
    shown = [k for k, name in enumerate(source.classes) if name in chosen]
    return shown, f"; {most} of {len(source.classes):,} classes"


def confused_pairs(source: Source, report_run: ReportRun) -> list[Pair]:
    """Return every confusion that occurs, the one that costs most of the CV score first."""
    counts, size = confusion_counts(source, report_run), len(source.classes)
    cell = source.target * size + report_run.probs.argmax(1)
    lost = np.bincount(cell, source.weight, size**2).reshape(size, size)
    pairs = [
        Pair(
            source.classes[true],
            source.classes[predicted],
            int(counts[true, predicted]),
            float(counts[true, predicted] / counts[true].sum()),
            float(lost[true, predicted]),
        )
        for true, predicted in zip(*np.nonzero(counts), strict=True)
        if true != predicted
    ]
    return sorted(pairs, key=lambda pair: (-pair.lost, -pair.clips))


def _accuracy_bars(
    source: Source, report_run: ReportRun, column: str, names: tuple[str, ...], title: str
) -> Picture | None:
    """Draw the accuracy by part or label, weighted as in the CV score, with 95 % intervals."""
    right = report_run.probs.argmax(1) == source.target
    values = source.clips[column].to_numpy()
    rows = []
    for name in names:
        chosen = values == name
        weight = source.weight[chosen]
        if not weight.sum():
            continue
        share = weight / weight.sum()
        accuracy = float(share @ right[chosen])
        margin = 1.96 * math.sqrt(float(np.square(share) @ np.square(right[chosen] - accuracy)))
        interval = max(accuracy - margin, 0.0), min(accuracy + margin, 1.0)
        label = f"{accuracy:.3f} of {int(chosen.sum()):,}"
        rows.append(Bar(name.replace("_", " "), [accuracy], label, interval))
    if len(rows) > MOST_BARS:
        rows.sort(key=lambda bar: bar.values[0])
    return bars(rows[:MOST_BARS], title=_title(title, rows), high=1.0) if rows else None


def learning_curves(report_run: ReportRun) -> dict[str, Picture]:
    """Draw loss and CV score by epoch, a line for each fold; only charts with at least one finite value."""
    history = report_run.history()
    pictures = {}
    for column, title in (("loss", "Training loss"), ("cv", "OOF score by epoch (CV before shift and gain)")):
        drawn = [
            Series(f"fold {fold}", [epoch + 1 for epoch in rows["epoch"]], rows[column].to_list())
            for (fold,), rows in history.filter(pl.col(column).is_finite()).group_by(
                "fold", maintain_order=True
            )
        ]
        if drawn:
            pictures[column] = curves(drawn, title=title, x_name="epoch", y_name=column)
    return pictures


class Reliability(NamedTuple):
    """The accuracy of a run by its confidence: the points of a reliability diagram."""

    confidence: list[float]
    """Mean confidence of each bin with at least LEAST_IN_BIN clips."""
    accuracy: list[float]
    clips: list[int]
    ece: float
    """Expected calibration error over all bins (Naeini et al. 2015; Guo et al. 2017, arXiv:1706.04599)."""


def reliability(source: Source, report_run: ReportRun) -> Reliability:
    """Compute accuracy in BINS equal bins of confidence, on OOF predictions weighted as in the CV score.

    Confidence is the probability of the likeliest class of each clip, or of every class of every clip where
    a clip may have several labels.
    """
    if source.several:
        known = np.ones(source.truth.shape, bool) if source.known is None else source.known
        confidence, right = report_run.probs[known].astype(np.float64), source.truth[known]
        weights = np.full(len(right), 1 / max(len(right), 1))
    else:
        confidence = report_run.probs.max(1).astype(np.float64)
        right, weights = report_run.probs.argmax(1) == source.target, source.weight
    bins = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    clips = np.bincount(bins, minlength=BINS)
    weight = np.bincount(bins, weights, BINS)
    safe = np.maximum(weight, 1e-12)
    mean = np.bincount(bins, weights * confidence, BINS) / safe
    accuracy = np.bincount(bins, weights * right, BINS) / safe
    shown = clips >= LEAST_IN_BIN
    return Reliability(
        confidence=mean[shown].tolist(),
        accuracy=accuracy[shown].tolist(),
        clips=clips[shown].tolist(),
        ece=float(weight @ np.abs(mean - accuracy) / max(weight.sum(), 1e-12)),
    )


def reliability_diagram(curve: Reliability, *, several: bool = False) -> Picture | None:
    """Draw accuracy by confidence; None where no bin has enough clips."""
    if not curve.clips:
        return None
    counted = "labels" if several else "clips"
    notes = [
        f"confidence {100 * confidence:.0f} %, accuracy {100 * right:.0f} % of {clips:,} {counted}"
        for confidence, right, clips in zip(curve.confidence, curve.accuracy, curve.clips, strict=True)
    ]
    return curves(
        [Series("", curve.confidence, curve.accuracy, "both", notes)],
        title=f"Calibration (expected calibration error {100 * curve.ece:.1f} points)",
        x_name="probability of a label" if several else "probability of the predicted class",
        y_name="share of labels present" if several else "accuracy",
        whole=False,
        diagonal=True,
        limits=(0.0, 1.0),
    )
