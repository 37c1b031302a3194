"""Ways to blend, each beside another way to the same number."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.oof import library

from kagglekit.config import Ensemble
from kagglekit.ensemble.blends import Geometric, Logit, Mean, Quantile, Rank
from kagglekit.ensemble.methods import METHODS, distinct, inverse_temperatures, methods_for, mixture
from kagglekit.scoring.metrics import make_metric
from kagglekit.scoring.numerics import sigmoid
from kagglekit.scoring.task import Task

SETTINGS = Ensemble(rounds=10, bags=2)


def log_loss(probs, oof):
    return -np.log(probs[np.arange(len(oof.target)), oof.target]) @ oof.weight / oof.weight.sum()


@pytest.mark.parametrize("name", METHODS)
def test_every_method_gives_probabilities_and_takes_one_clip(name):
    oof = library()
    blend = METHODS[name](oof, SETTINGS)
    blended = blend(oof.probs)
    assert blended.shape == (400, 4) and blended.min() >= 0 and np.allclose(blended.sum(1), 1)
    assert np.allclose(blend(oof.probs[:, 7:8]), blended[7:8])
    assert blend.weights.sum() == pytest.approx(1)
    assert (blended.argmax(1) == oof.target).mean() > 0.6


@pytest.mark.parametrize("name", METHODS)
def test_every_method_takes_one_model_two_copies_and_a_class_without_clips(name):
    oof = library(models=1)
    alone = METHODS[name](oof, SETTINGS)(oof.probs)
    twice = oof._replace(probs=np.concatenate([oof.probs, oof.probs]))
    assert (METHODS[name](twice, SETTINGS)(twice.probs).argmax(1) == alone.argmax(1)).mean() > 0.99
    some = library().select(library().target != 2)
    assert np.isfinite(METHODS[name](some, SETTINGS)(some.probs)).all()


def test_means_by_hand():
    probs = np.array([[[0.7, 0.2, 0.1]], [[0.3, 0.5, 0.2]]])
    half = np.array([0.5, 0.5])
    assert np.allclose(Mean(half)(probs), [[0.5, 0.35, 0.15]])
    product = np.sqrt([0.7 * 0.3, 0.2 * 0.5, 0.1 * 0.2])
    assert np.allclose(Geometric(half)(probs), product / product.sum())
    # ranks 2, 1, 0 and 1, 2, 0: a tie, which the mean probability decides
    ranks = np.array([1.5 + 0.5 / 4, 1.5 + 0.35 / 4, 0.15 / 4])
    assert np.allclose(Rank(half)(probs), ranks / ranks.sum())
    odds = np.exp(2 * np.log(probs[0, 0]) - np.log(probs[1, 0]) + [0, 1, 0])
    assert np.allclose(Logit(np.array([2.0, -1.0]), np.array([0.0, 1.0, 0.0]))(probs), odds / odds.sum())


def test_inverse_temperatures_have_the_least_log_loss():
    oof = library(skill=3.0)
    found = inverse_temperatures(oof)
    for model, inverse in enumerate(found):

        def loss(power, model=model):
            sharp = oof.probs[model] ** power
            return log_loss(sharp / sharp.sum(1, keepdims=True), oof)

        assert loss(inverse) <= min(loss(inverse * 0.98), loss(inverse * 1.02))


def test_mixture_has_the_least_log_loss_on_the_simplex():
    oof = library(models=3)
    least = min(
        log_loss(Mean(np.array([a, b, 1 - a - b]))(oof.probs), oof)
        for a in np.arange(0, 1.01, 0.02)
        for b in np.arange(0, 1.01 - a, 0.02)
    )
    weights = mixture(oof)
    assert weights.min() >= 0 and weights.sum() == pytest.approx(1)
    assert log_loss(Mean(weights)(oof.probs), oof) < least + 1e-4


def test_stacking_has_a_lower_log_loss_than_the_geometric_mean():
    oof = library(skill=1.5)
    stacked, geometric = (METHODS[name](oof, SETTINGS)(oof.probs) for name in ("stacking", "geometric"))
    assert log_loss(stacked, oof) < log_loss(geometric, oof)


def test_near_copies_are_left_out_and_the_better_one_kept():
    oof = library(models=2)
    copy = oof.probs[1] * 0.999 + 0.001 / 4
    assert distinct(oof._replace(probs=np.stack([oof.probs[0], oof.probs[1], copy]))).tolist() == [
        True,
        True,
        False,
    ]


def test_only_weight_counts():
    oof = library(weight=np.r_[np.ones(300), np.zeros(100)])
    for name in ("temperature", "logloss", "stacking", "hillclimb"):
        all_, cut = (METHODS[name](part, SETTINGS)(oof.probs) for part in (oof, oof.select(np.arange(300))))
        assert np.allclose(all_, cut, atol=1e-6), name


def test_ranks_of_classes_among_rows_join_models_of_unlike_scales():
    task = Task(tuple("abcd"), tuple("abcd"), None, make_metric("roc_auc_macro", "multi"), ";")
    assert "rank" not in methods_for(replace(task, metric=make_metric("f1_macro", "multi")))
    rng, metric = np.random.default_rng(0), task.metric
    truth = rng.uniform(size=(600, 4)) < 0.3
    first, second = 2.0 * (truth - 0.5) + rng.normal(0, 1.5, (2, 600, 4))
    timid = sigmoid(0.2 * second + 4)  # the same ranks, squeezed
    first = sigmoid(first)
    oof = library()._replace(probs=np.stack([first, timid]), target=truth)
    methods = methods_for(task)
    ranked, mean = (methods[name](oof, SETTINGS) for name in ("rank", "mean"))
    blended = ranked(oof.probs)
    assert blended.min() >= 0 and blended.max() <= 1
    np.testing.assert_allclose(ranked(oof.probs[:, 5:6]), blended[5:6])
    assert metric(truth, blended) > metric(truth, mean(oof.probs)) + 0.002
    single = Quantile.fit(np.ones(1), first[None])(first[None])
    assert metric(truth, single) == pytest.approx(metric(truth, first), abs=1e-3)
