"""Made-up OOF predictions of several models."""

from __future__ import annotations

import numpy as np

from kagglekit.ensemble.methods import Oof


def library(models=3, clips=400, classes=4, seed=0, skill=2.0, **fields):
    rng = np.random.default_rng(seed)
    target = rng.integers(0, classes, clips)
    logits = rng.normal(size=(clips, classes)) + rng.normal(size=(models, clips, classes))
    logits[:, np.arange(clips), target] += np.linspace(0.7, 1, models)[:, None] * skill
    probs = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
    return Oof(probs, target, np.ones(clips), np.arange(clips) % 4)._replace(**fields)


def recorded_case(models, clips, classes, seed):
    """What peers were given: made without anything of ours."""
    rng = np.random.default_rng(seed)
    target = rng.integers(0, classes, clips)
    logits = rng.normal(size=(clips, classes)) + rng.normal(size=(models, clips, classes))
    logits[:, np.arange(clips), target] += np.linspace(0.5, 1.5, models)[:, None]
    probs = np.exp(logits)
    return probs / probs.sum(axis=2, keepdims=True), target
