"""What was fitted comes back from JSON as it was."""

from __future__ import annotations

import json

import numpy as np
import pytest
from support.oof import TASK, library

from kagglekit.config import Ensemble
from kagglekit.config.names import LabelKind
from kagglekit.ensemble import smoothing
from kagglekit.ensemble.build import fit
from kagglekit.ensemble.decisions import DECISIONS, ood_scores
from kagglekit.ensemble.fitted import FittedBlend
from kagglekit.ensemble.methods import METHODS, methods_for
from kagglekit.scoring.metrics import make_metric
from kagglekit.scoring.numerics import log_probs
from kagglekit.scoring.oof import Oof
from kagglekit.scoring.task import Task

SETS = Task(TASK.classes, TASK.classes, None, make_metric("f1_macro", LabelKind.MULTI), separator="|")
RANKED = Task(TASK.classes, TASK.classes, None, make_metric("lwlrap", LabelKind.MULTI), separator="|")


def several(task: Task) -> Oof:
    oof = library(clips=120)
    return oof._replace(target=oof.target[:, None] == np.arange(4), probs=oof.probs.clip(1e-4, 1 - 1e-4))


def same_after_json(task: Task, oof: Oof, **chosen: str) -> None:
    fitted, _ = fit(oof, task, Ensemble(rounds=5, bags=2), chosen)
    read = FittedBlend.read(json.loads(json.dumps(fitted.record())), task)
    logits = np.random.default_rng(1).normal(size=(2, 3, 12, 4)).astype(np.float32)  # of two folds
    place = np.arange(12) // 4, np.arange(12.0)
    for ours, theirs in zip(fitted.test_probs(logits, place), read.test_probs(logits, place), strict=True):
        assert ours.dtype == theirs.dtype and (ours == theirs).all()


@pytest.mark.parametrize("method", METHODS)
def test_methods_of_one_class(method: str) -> None:
    same_after_json(TASK, library(clips=120), method=method)


@pytest.mark.parametrize("decision", DECISIONS)
def test_decisions_of_one_class(decision: str) -> None:
    oof = library(clips=120)
    same_after_json(
        TASK, oof._replace(ood=ood_scores(log_probs(oof.probs))), method="mean", decision=decision
    )


@pytest.mark.parametrize("method", methods_for(RANKED))
def test_methods_of_several_classes(method: str) -> None:
    same_after_json(RANKED, several(RANKED), method=method)


@pytest.mark.parametrize("decision", SETS.decisions)
@pytest.mark.parametrize("smooth", smoothing.OPTIONS)
def test_sets_and_smoothings(decision: str, smooth: str) -> None:
    oof = several(SETS)
    oof = oof._replace(recording=np.arange(120) // 4, start=np.arange(120.0))
    same_after_json(SETS, oof, method="mean", smoothing=smooth, decision=decision)


@pytest.mark.parametrize("record", [{}, {"blend": {"kind": "Nothing"}, "join": None, "decide": None}])
def test_another_shape_is_refused(record: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="another shape"):
        FittedBlend.read(record, TASK)
