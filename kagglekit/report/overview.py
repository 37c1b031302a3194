"""The first page: where the competition stands, and what to try next."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from kagglekit.charts.bars import Bar, bars
from kagglekit.charts.cv_vs_lb import BAND
from kagglekit.charts.svg import Picture
from kagglekit.files import tables
from kagglekit.report.ensembles import Blend, blends, options
from kagglekit.report.runs import confused_pairs
from kagglekit.report.source import Judged, Source
from kagglekit.report.studies import Study
from kagglekit.runs.store import HISTORY, train_again
from kagglekit.scoring.forecast import cv_vs_lb
from kagglekit.submission.ledger import best, cv_public_pairs

STILL_RISING = 0.01  # of OOF over the last fifth of the epochs: more than noise between epochs


class Advice(NamedTuple):
    """Something worth trying."""

    why: str
    command: str = ""
    """What to type; or nothing."""
    page: str = ""
    """A page of the report to look at."""


def page(source: Source, studies: list[Study]) -> dict[str, Any]:
    """What overview.html shows."""
    made = blends(source)
    public = best(source.entries, "public")
    return {
        "best": source.runs[0] if source.runs else None,
        "blend": max(made, key=lambda blend: blend.cv, default=None),
        "public": public,
        "cv": best(source.entries, "cv_score"),
        "models": len({judged.run.model for judged in source.runs}),
        "trials": sum(len(study.trials) for study in studies),
        "submissions": len(source.entries),
        "ranking": ranking(source),
        "advice": list(advice(source, studies, made)),
    }


def ranking(source: Source) -> Picture | None:
    """CV of every run with its interval."""
    rows = [
        Bar(judged.name, [score.cv], f"{score.cv:.4f}", (score.low, score.high))
        for judged in source.runs
        for score in [judged.run.score]
    ]
    return bars(rows, title="CV of the runs, with 95 % intervals", high=1.0) if rows else None


def advice(source: Source, studies: list[Study], made: list[Blend]) -> Iterator[Advice]:
    """What to try next, the most pressing first."""
    if not source.runs:
        yield Advice("No model is trained yet.", f"{source.kagglekit} train --model tcresnet")
        return
    top, models = source.runs[0], [judged.run.model for judged in source.best_of_each_model()]
    if top.run.score.constant:
        names = ", ".join(top.run.score.constant)
        yield Advice(f"{top.name} hardly ever predicts, or always predicts: {names}.", page="runs")
    yield from _unsent(source, made)
    yield _worst_classes(top) if source.several else _costliest(source, top)
    if len(models) == 1:
        other = "gru" if models != ["gru"] else "tcresnet"
        why = "One architecture alone: a second, different one is what an ensemble gains most by."
        yield Advice(why, f"{source.kagglekit} train --model {other}")
    elif not made:
        yield Advice("Several models, and no ensemble yet.", f"{source.kagglekit} ensemble")
    if (risen := _still_rising(top)) > STILL_RISING:
        epochs = _epochs(top)
        yield Advice(
            f"{top.name} still gained {100 * risen:.1f} points in the last fifth of its {epochs} epochs.",
            f"{source.kagglekit} train --model {top.run.model} --set train.epochs={2 * epochs}",
        )
    if top.run.model not in {study.model for study in studies}:
        why = f"The settings of {top.run.model}, the best, were never searched."
        yield Advice(why, f"{source.kagglekit} tune --model {top.run.model}")
    yield from _foretold(source)


def _unsent(source: Source, made: list[Blend]) -> Iterator[Advice]:
    """The best score there is, where nothing as good was sent."""
    sent = max((e.cv_score for e in source.entries if e.cv_score is not None), default=None)
    top = source.runs[0]
    blend = max(made, key=lambda blend: blend.cv, default=None)
    cv, name, choice = top.run.score.cv, top.run.model, f"--ensemble {top.run.model}"
    if blend is not None and blend.cv > cv:
        cv, name, choice = blend.cv, blend.name, options(source, blend)
    if sent is None or cv > sent + 1e-9:
        before = "nothing was sent yet" if sent is None else f"the best that was sent had {sent:.4f}"
        command = f"{source.kagglekit} submit {choice} --upload"
        yield Advice(f"CV {cv:.4f} ({name}) is ready; {before}.", command)


def _costliest(source: Source, top: Judged) -> Advice:
    """Where the best run loses most of the score."""
    wrong = top.probs.argmax(1) != source.target
    part = source.clips["part"].to_numpy()
    lost = {name: float(source.weight[wrong & (part == name)].sum()) for name in np.unique(part)}
    name = max(lost, key=lambda part: lost[part])
    pairs = [f"{pair.true} taken for {pair.predicted}" for pair in confused_pairs(source, top)[:2]]
    said = {
        "unseen": "words that its training never heard",
        "keyword": "the target words",
        "seen": "other words, heard in training",
    }.get(name, name)
    costly = f" Costliest: {', '.join(pairs)}." if pairs else ""
    points = f"{100 * sum(lost.values()):.1f} points of OOF, {100 * lost[name]:.1f} on {said}"
    return Advice(f"{top.name} loses {points}.{costly}", page="listening")


def _worst_classes(top: Judged) -> Advice:
    """Which classes the best run tells least well from others."""
    worst = sorted(top.run.score.parts.items(), key=lambda pair: pair[1])[:3]
    names = ", ".join(f"{name} ({precision:.3f})" for name, precision in worst)
    return Advice(f"{top.name} ranks these worst, by average precision: {names}.", page="listening")


def _foretold(source: Source) -> Iterator[Advice]:
    """Whether the CV score can be trusted."""
    scores = cv_public_pairs([e for e in source.entries if e.cv_score is not None and e.public is not None])
    if len(scores) < 2:
        return
    found = cv_vs_lb(scores)
    if abs(found.mean) > BAND:
        side = "above" if found.mean > 0 else "below"
        points = f"{100 * abs(found.mean):.1f} points {side} public"
        why = f"CV is {points} on average: is the prior that of the test?"
        yield Advice(why, f"{source.kagglekit} cv --prior estimated")


def _history(judged: Judged) -> pl.DataFrame:
    folder = judged.run.folder
    return tables.read(folder / HISTORY, train_again(folder))


def _epochs(judged: Judged) -> int:
    return int(_history(judged).group_by("fold").len()["len"].max() or 0)  # type: ignore[arg-type]


def _still_rising(judged: Judged) -> float:
    """How much OOF rose over the last fifth of the epochs, mean over the folds."""
    by_epoch = _history(judged).group_by("epoch").agg(pl.col("cv").mean()).sort("epoch")["cv"]
    if len(by_epoch) < 5:
        return 0.0
    return float(by_epoch[-1] - by_epoch[-1 - len(by_epoch) // 5])
