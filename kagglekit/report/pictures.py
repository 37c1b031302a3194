"""The report's main charts, to be written as files."""

from collections.abc import Iterator

from kagglekit.charts.cv_vs_lb import picture
from kagglekit.charts.matrix import confusion
from kagglekit.charts.svg import Picture
from kagglekit.report import studies
from kagglekit.report.runs import (
    confusion_counts,
    learning_curves,
    precision_bars,
    reliability,
    reliability_diagram,
)
from kagglekit.report.source import ReportRun, Source
from kagglekit.search.importance import importances
from kagglekit.submission.ledger import scored_entries


def pictures(source: Source) -> Iterator[tuple[str, Picture]]:
    """Yield (name, chart).

    CV against public scores; for the best run of each model the confusion matrix (average precision by
    class where a clip may have several labels), learning curves and reliability diagram; for the longest
    search of each model its history and the importance of the parameters.
    """
    metric = source.prepared.task.metric
    if sent := scored_entries(source.workspace, metric):
        yield "cv-public", picture(sent, metric)
    for report_run in source.best_run_per_model():
        model = report_run.run.model
        if not source.several:
            yield from _confusions(source, report_run)
        elif by_class := precision_bars(report_run):
            yield f"{model}-classes", by_class
        yield from ((f"{model}-{name}", curve) for name, curve in learning_curves(report_run).items())
        if diagram := reliability_diagram(reliability(source, report_run), several=source.several):
            yield f"{model}-calibration", diagram
    for study in studies.longest_study_per_model(studies.read(source)):
        yield f"{study.model}-search", studies.history_chart(study)
        if importance := importances(study.study):
            yield f"{study.model}-importance", studies.importance_chart(importance)


def _confusions(source: Source, report_run: ReportRun) -> Iterator[tuple[str, Picture]]:
    model, counts = report_run.run.model, confusion_counts(source, report_run)
    for name, percent, unit in (("confusion", False, "clips"), ("confusion-percent", True, "% of each row")):
        title = f"Confusion matrix of {model}, {unit}"
        yield f"{model}-{name}", confusion(counts, source.classes, percent=percent, title=title)
