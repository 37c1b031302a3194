"""The page of runs: what each confuses, where it is right, how it learnt, how sure it may be."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kagglekit.charts.bars import Bar, bars
from kagglekit.charts.curves import Series, curves
from kagglekit.charts.matrix import confusion
from kagglekit.charts.svg import Picture
from kagglekit.files import tables
from kagglekit.report.source import Judged, Source
from kagglekit.runs.store import HISTORY, train_again
from kagglekit.scoring.task import PARTS

BINS = 10  # of confidence
LEAST_IN_BIN = 5  # clips; fewer say nothing about their accuracy
MOST_PAIRS = 12


def page(source: Source) -> dict[str, Any]:
    """What runs.html shows."""
    return {"runs": [_run(source, judged) for judged in source.runs], "left_out": source.left_out}


def _run(source: Source, judged: Judged) -> dict[str, Any]:
    run, curve = judged.run, calibration(source, judged)
    return {
        "name": judged.name,
        "score": run.score,
        "metrics": run.metrics,
        "curves": learning_curves(judged),
        "calibration": calibration_picture(curve, several=source.several),
        "ece": curve.ece,
        **(_by_class(judged) if source.several else _by_confusion(source, judged)),
    }


def _by_class(judged: Judged) -> dict[str, Any]:
    """Where a clip may have several labels: no class is taken for another, each is ranked for itself."""
    return {"percent": None, "counts": None, "parts": None, "pairs": [], "classes": precision_bars(judged)}


def _by_confusion(source: Source, judged: Judged) -> dict[str, Any]:
    counts = confusion_counts(source, judged)
    return {
        "percent": confusion(counts, source.classes, percent=True, title="Confusion matrix, % of each row"),
        "counts": confusion(counts, source.classes, percent=False, title="Confusion matrix, clips"),
        "parts": _accuracy_bars(source, judged, "part", PARTS, "Accuracy by part"),
        "classes": _accuracy_bars(source, judged, "label", source.classes, "Accuracy by class"),
        "pairs": confused_pairs(source, judged)[:MOST_PAIRS],
    }


def precision_bars(judged: Judged) -> Picture | None:
    """Average precision of each class, the worst first; nothing where no class has clips."""
    worst_first = sorted(judged.run.score.parts.items(), key=lambda pair: pair[1])
    rows = [Bar(name, [precision], f"{precision:.3f}") for name, precision in worst_first]
    return bars(rows, title="Average precision by class", high=1.0) if rows else None


def confusion_counts(source: Source, judged: Judged) -> NDArray[np.int64]:
    """(classes, classes): clips by true class and predicted class."""
    classes = len(source.classes)
    predicted = judged.probs.argmax(1)
    return np.bincount(source.target * classes + predicted, minlength=classes**2).reshape(classes, classes)


class Pair(NamedTuple):
    """A confusion."""

    true: str
    predicted: str
    clips: int
    share: float
    """Of the true class' clips."""
    lost: float
    """Of the CV score."""


def confused_pairs(source: Source, judged: Judged) -> list[Pair]:
    """Every confusion that occurs, the costliest for the CV score first."""
    counts, size = confusion_counts(source, judged), len(source.classes)
    cell = source.target * size + judged.probs.argmax(1)
    lost = np.bincount(cell, source.weight, size**2).reshape(size, size)
    found = [
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
    return sorted(found, key=lambda pair: (-pair.lost, -pair.clips))


def _accuracy_bars(
    source: Source, judged: Judged, column: str, names: tuple[str, ...], title: str
) -> Picture | None:
    """Accuracy of the clips that share a part or a label, weighed as in the score, with its 95 % interval."""
    right = judged.probs.argmax(1) == source.target
    of = source.clips[column].to_numpy()
    rows = []
    for name in names:
        chosen = of == name
        weight = source.weight[chosen]
        if not weight.sum():
            continue
        share = weight / weight.sum()
        accuracy = float(share @ right[chosen])
        margin = 1.96 * math.sqrt(float(np.square(share) @ np.square(right[chosen] - accuracy)))
        interval = max(accuracy - margin, 0.0), min(accuracy + margin, 1.0)
        label = f"{accuracy:.3f} of {int(chosen.sum()):,}"
        rows.append(Bar(name.replace("_", " "), [accuracy], label, interval))
    return bars(rows, title=title, high=1.0) if rows else None


def learning_curves(judged: Judged) -> dict[str, Picture]:
    """Loss and CV by epoch, a line a fold, by their names; nothing where nothing was learnt."""
    folder = judged.run.folder
    history = tables.read(folder / HISTORY, train_again(folder))
    pictures = {}
    for column, title in (("loss", "Training loss"), ("cv", "OOF score by epoch (CV before shift and gain)")):
        drawn = [
            Series(f"fold {fold}", [e + 1 for e in of["epoch"]], of[column].to_list())
            for (fold,), of in history.filter(pl.col(column).is_finite()).group_by(
                "fold", maintain_order=True
            )
        ]
        if drawn:
            pictures[column] = curves(drawn, title=title, x_name="epoch", y_name=column)
    return pictures


class Calibration(NamedTuple):
    """How often a run is right by how sure it is."""

    confidence: list[float]
    """Mean of each bin that holds clips enough."""
    accuracy: list[float]
    clips: list[int]
    ece: float
    """Expected calibration error over all bins (Naeini et al. 2015; Guo et al. 2017, arXiv:1706.04599)."""


def calibration(source: Source, judged: Judged) -> Calibration:
    """Confidence against accuracy in BINS equal bins of OOF predictions, weighed as in the score.

    Of the likeliest class of each clip; where it may have several labels, of every class of every clip.
    """
    if source.several:
        confidence, right = judged.probs.ravel().astype(np.float64), source.truth.ravel()
        weights = np.repeat(source.weight, len(source.classes)) / len(source.classes)
    else:
        confidence = judged.probs.max(1).astype(np.float64)
        right, weights = judged.probs.argmax(1) == source.target, source.weight
    bins = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    clips = np.bincount(bins, minlength=BINS)
    weight = np.bincount(bins, weights, BINS)
    safe = np.maximum(weight, 1e-12)
    mean = np.bincount(bins, weights * confidence, BINS) / safe
    accuracy = np.bincount(bins, weights * right, BINS) / safe
    shown = clips >= LEAST_IN_BIN
    return Calibration(
        confidence=mean[shown].tolist(),
        accuracy=accuracy[shown].tolist(),
        clips=clips[shown].tolist(),
        ece=float(weight @ np.abs(mean - accuracy) / max(weight.sum(), 1e-12)),
    )


def calibration_picture(found: Calibration, *, several: bool = False) -> Picture | None:
    """Confidence against accuracy, or against how often a label is there; nothing without clips enough."""
    if not found.clips:
        return None
    counted = "labels" if several else "clips"
    notes = [
        f"sure to {100 * sure:.0f} %, right {100 * right:.0f} % of {clips:,} {counted}"
        for sure, right, clips in zip(found.confidence, found.accuracy, found.clips, strict=True)
    ]
    return curves(
        [Series("", found.confidence, found.accuracy, "both", notes)],
        title=f"Calibration (expected error {100 * found.ece:.1f} points)",
        x_name="probability of a label" if several else "probability of the answer",
        y_name="share that is right" if several else "accuracy",
        whole=False,
        diagonal=True,
        limits=(0.0, 1.0),
    )
