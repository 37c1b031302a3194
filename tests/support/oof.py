"""OOF predictions of several models, drawn at random."""

from __future__ import annotations

import numpy as np

from kagglekit.scoring.metrics import make_metric
from kagglekit.scoring.numerics import softmax
from kagglekit.scoring.oof import Oof
from kagglekit.scoring.task import Task

CLASSES = ("low", "mid", "silence", "unknown")
TASK = Task(CLASSES, CLASSES[:2], "unknown", make_metric("accuracy"))


def oof_of(probs, target, weight=None, **fields):
    """OOF of probabilities (runs, rows, classes): one fold, each row by a speaker of its own."""
    rows = len(target)
    weight = np.ones(rows) if weight is None else weight
    columns = {"fold": np.zeros(rows, int), "group": np.arange(rows), "ood": np.empty((rows, 0))}
    return Oof(probs, target, weight, **{**columns, **fields})


def one_run(log, target, weight=None, **fields):
    """OOF of the logits (rows, classes) of one run."""
    return oof_of(softmax(log)[None], target, weight, **fields)


def library(models=3, clips=400, classes=4, seed=0, skill=2.0, **fields):
    rng = np.random.default_rng(seed)
    target = rng.integers(0, classes, clips)
    logits = rng.normal(size=(clips, classes)) + rng.normal(size=(models, clips, classes))
    logits[:, np.arange(clips), target] += np.linspace(0.7, 1, models)[:, None] * skill
    probs = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
    clip = np.arange(clips)
    return oof_of(probs, target, **{"fold": clip % 4, "group": clip % 40, **fields})


def recorded_case(models, clips, classes, seed):
    """What peers were given: made without anything of ours."""
    rng = np.random.default_rng(seed)
    target = rng.integers(0, classes, clips)
    logits = rng.normal(size=(clips, classes)) + rng.normal(size=(models, clips, classes))
    logits[:, np.arange(clips), target] += np.linspace(0.5, 1.5, models)[:, None]
    probs = np.exp(logits)
    return probs / probs.sum(axis=2, keepdims=True), target
