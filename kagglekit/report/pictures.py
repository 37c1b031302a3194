"""The report's main charts as files of their own."""

from __future__ import annotations

from collections.abc import Iterator

from kagglekit.charts.cv_vs_lb import picture
from kagglekit.charts.matrix import confusion
from kagglekit.charts.svg import Picture
from kagglekit.report import studies
from kagglekit.report.runs import (
    calibration,
    calibration_picture,
    confusion_counts,
    learning_curves,
    precision_bars,
)
from kagglekit.report.source import Judged, Source
from kagglekit.search.importance import importances
from kagglekit.submission.ledger import scored_entries


def pictures(source: Source) -> Iterator[tuple[str, Picture]]:
    """(name, chart): CV against public; the best run of each model: confusion (or, where a clip may have
    several labels, average precision by class), curves, calibration; and of each model's longest search the
    history, and what mattered."""
    if sent := scored_entries(source.workspace):
        yield "cv-public", picture(sent)
    for judged in source.best_of_each_model():
        model = judged.run.model
        if not source.several:
            yield from _confusions(source, judged)
        elif by_class := precision_bars(judged):
            yield f"{model}-classes", by_class
        yield from ((f"{model}-{name}", curve) for name, curve in learning_curves(judged).items())
        if sure := calibration_picture(calibration(source, judged), several=source.several):
            yield f"{model}-calibration", sure
    for study in studies.longest_of_each_model(studies.read(source)):
        yield f"{study.model}-search", studies.history_picture(study)
        if matter := importances(study.study):
            yield f"{study.model}-importance", studies.importance_picture(matter)


def _confusions(source: Source, judged: Judged) -> Iterator[tuple[str, Picture]]:
    model, counts = judged.run.model, confusion_counts(source, judged)
    for name, percent, unit in (("confusion", False, "clips"), ("confusion-percent", True, "% of each row")):
        title = f"Confusion matrix of {model}, {unit}"
        yield f"{model}-{name}", confusion(counts, source.classes, percent=percent, title=title)
