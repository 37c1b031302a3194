"""The overview page: the best scores, and what to try next."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from kagglekit.charts.bars import Bar, bars
from kagglekit.charts.cv_vs_lb import BAND
from kagglekit.charts.svg import Picture
from kagglekit.errors import listed
from kagglekit.report.ensembles import SavedBlend, blends, options
from kagglekit.report.runs import confused_pairs
from kagglekit.report.source import ReportRun, Source
from kagglekit.report.studies import Study
from kagglekit.scoring.forecast import cv_vs_lb
from kagglekit.scoring.metrics import Metric
from kagglekit.submission.ledger import best, cv_public_pairs

STILL_RISING = 0.01  # gain of OOF over the last fifth of the epochs that exceeds the noise between epochs


class Advice(NamedTuple):
    """A suggestion: the reason, and a command to type or a page to look at."""

    why: str
    command: str = ""
    page: str = ""


def page(source: Source, studies: list[Study]) -> dict[str, Any]:
    """Compute what overview.html shows."""
    saved, metric = blends(source), source.prepared.task.metric
    public = best(source.entries, "public", metric)
    top, blend = source.runs[0] if source.runs else None, metric.best(saved, lambda blend: blend.cv)
    return {
        "best": top,
        "blend": blend if top is None or (blend and metric.better(blend.cv, top.run.score.cv)) else None,
        "public": public,
        "public_has_cv": public is not None and public.has_cv(metric),
        "cv": best(source.entries, "cv_score", metric),
        "models": len({report_run.run.model for report_run in source.runs}),
        "trials": sum(len(study.trials) for study in studies),
        "submissions": len(source.entries),
        "verdict": source.verdict,
        "ranking": ranking(source),
        "advice": list(advice(source, studies, saved)),
    }


def ranking(source: Source) -> Picture | None:
    """Draw the CV score of every run with its interval."""
    rows = [
        Bar(report_run.name, [score.cv], f"{score.cv:.4f}", (score.low, score.high))
        for report_run in source.runs
        for score in [report_run.run.score]
    ]
    return (
        bars(rows, title="CV of the runs, with 95 % intervals", high=source.prepared.task.metric.high)
        if rows
        else None
    )


def advice(source: Source, studies: list[Study], saved: list[SavedBlend]) -> Iterator[Advice]:
    """Yield what to try next, the most important first."""
    if not source.runs:
        yield Advice("No model is trained yet.", f"{source.kagglekit} train --model tcresnet")
        return
    top, models = source.runs[0], [report_run.run.model for report_run in source.best_run_per_model()]
    if top.run.score.constant:
        names = listed(top.run.score.constant)
        yield Advice(f"{top.name} hardly ever predicts, or always predicts: {names}.", page="runs")
    yield from _unsent(source, saved)
    yield _worst_classes(top) if source.several else _most_costly(source, top)
    if len(models) == 1:
        other = "gru" if models != ["gru"] else "tcresnet"
        why = "Only one architecture is trained; an ensemble gains most from a second, different one."
        yield Advice(why, f"{source.kagglekit} train --model {other}")
    elif not saved:
        yield Advice(
            "Several models are trained, but there is no ensemble yet.", f"{source.kagglekit} ensemble"
        )
    history, metric = top.history(), source.prepared.task.metric
    if (risen := _still_rising(history, metric)) > STILL_RISING:
        epochs = int(history.group_by("fold").len()["len"].max() or 0)  # type: ignore[arg-type]
        gained = f"{metric.difference(risen).lstrip('+')}{metric.unit}"
        yield Advice(
            f"{top.name} still gained {gained} in the last fifth of its {epochs} epochs.",
            f"{source.kagglekit} train --model {top.run.model} --set train.epochs={2 * epochs}",
        )
    if top.run.model not in {study.model for study in studies}:
        why = f"No hyperparameter search was run for {top.run.model}, the best model."
        yield Advice(why, f"{source.kagglekit} tune --model {top.run.model}")
    yield from _biased_cv(source)


def _unsent(source: Source, saved: list[SavedBlend]) -> Iterator[Advice]:
    """Suggest sending the best run or blend where nothing as good was sent."""
    metric, top = source.prepared.task.metric, source.runs[0]
    scores = [e.cv_score for e in source.entries if e.cv_score is not None and e.has_cv(metric)]
    sent = metric.best(scores, float)
    blend = metric.best(saved, lambda blend: blend.cv)
    cv, name, choice = top.run.score.cv, top.run.model, f"--ensemble {top.run.model}"
    if blend is not None and metric.better(blend.cv, cv):
        cv, name, choice = blend.cv, blend.name, options(source, blend)
    if sent is None or metric.gain(cv, sent) > 1e-9:
        before = "nothing was submitted yet" if sent is None else f"the best submission has {sent:.4f}"
        command = f"{source.kagglekit} submit {choice} --upload"
        yield Advice(f"{name} has CV {cv:.4f}; {before}.", command)


def _most_costly(source: Source, top: ReportRun) -> Advice:
    """Say where the best run loses most of the score."""
    wrong = top.probs.argmax(1) != source.target
    part = source.clips["part"].to_numpy()
    lost = {name: float(source.weight[wrong & (part == name)].sum()) for name in np.unique(part)}
    name = max(lost, key=lambda part: lost[part])
    pairs = [f"{pair.true} as {pair.predicted}" for pair in confused_pairs(source, top)[:2]]
    clips = {"unseen": "unseen words", "keyword": "the target words", "seen": "filler words seen in training"}
    costly = f" Most costly confusions: {', '.join(pairs)}." if pairs else ""
    share = f"{100 * sum(lost.values()):.1f} % of OOF"
    if len(lost) > 1:  # more than one part: there is a filler or a silence class
        share += f", {100 * lost[name]:.1f} % on {clips.get(name, name)}"
    return Advice(f"{top.name} misclassifies {share}.{costly}", page="listening")


def _worst_classes(top: ReportRun) -> Advice:
    """Name the classes with the lowest average precision of the best run."""
    worst = sorted(top.run.score.parts.items(), key=lambda pair: pair[1])[:3]
    names = ", ".join(f"{name} ({precision:.3f})" for name, precision in worst)
    return Advice(f"Classes with the lowest average precision of {top.name}: {names}.", page="listening")


def _biased_cv(source: Source) -> Iterator[Advice]:
    """Warn where CV differs from public scores by more than BAND on average."""
    metric = source.prepared.task.metric
    scores = cv_public_pairs([entry for entry in source.entries if entry.has_cv(metric)])
    if len(scores) < 2:
        return
    difference = cv_vs_lb(scores).mean
    if abs(difference) > BAND:
        side = "above" if difference > 0 else "below"
        apart = f"{metric.difference(abs(difference)).lstrip('+')}{metric.unit}"
        why = f"CV is {apart} {side} public on average."
        if source.several:
            why += " Check that the folds differ as the test does: data.train's group."
            yield Advice(why, page="data")
        else:
            why += " Check that validation.prior fits the test."
            yield Advice(why, f"{source.kagglekit} cv --prior estimated")


def _still_rising(history: pl.DataFrame, metric: Metric) -> float:
    """Return how much better OOF became over the last fifth of the epochs, as a mean over the folds."""
    by_epoch = history.group_by("epoch").agg(pl.col("cv").mean()).sort("epoch")["cv"]
    if len(by_epoch) < 5:
        return 0.0
    return metric.gain(float(by_epoch[-1]), float(by_epoch[-1 - len(by_epoch) // 5]))
