"""Nested scores that no clip has a say in, and the choice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.oof import TASK, library

from kagglekit.config import Ensemble
from kagglekit.ensemble import decisions
from kagglekit.ensemble.decisions import DECISIONS
from kagglekit.ensemble.methods import METHODS
from kagglekit.ensemble.nested_cv import (
    NestedResult,
    blends_of_folds,
    choose,
    compare_decisions,
    compare_methods,
)
from kagglekit.scoring.metrics import make_metric

SETTINGS = Ensemble(rounds=10, bags=2)
SCORES = np.random.default_rng(5).normal(size=(400, 3))


def test_every_method_is_judged_beside_the_plain_mean():
    oof = library()
    table = compare_methods(oof, SETTINGS, TASK)
    assert {judged.name for judged in table.results} == set(METHODS)
    mean = table.result("mean")
    assert mean.accuracy == pytest.approx((oof.probs.mean(0).argmax(1) == oof.target).mean())
    assert (mean.gain, mean.error) == (0, 0) and mean.low < mean.accuracy < mean.high
    for judged in table.results:
        assert judged.accuracy == pytest.approx((table.predicted[judged.name].argmax(1) == oof.target).mean())
        assert judged.gain == pytest.approx(judged.accuracy - mean.accuracy)


def test_no_clip_has_a_say_in_its_own_blend():
    oof = library()
    wrong = oof._replace(target=np.where(oof.fold == 1, (oof.target + 1) % 4, oof.target))
    names = [name for name in METHODS if name != "mean"]
    tables = [compare_methods(one, SETTINGS, TASK, names) for one in (oof, wrong)]
    for name in names:
        honest, other = (table.predicted[name][oof.fold == 1] for table in tables)
        assert (honest == other).all(), name


def decided(oof, method, names):
    return compare_decisions(blends_of_folds(oof, SETTINGS, TASK, method), TASK, names)


@pytest.mark.parametrize("name", [name for name in DECISIONS if name not in ("none", "prior", "gate_prior")])
def test_no_clip_has_a_say_in_its_own_decision(name):
    oof = library(ood=SCORES)
    wrong = oof._replace(target=np.where(oof.fold == 1, (oof.target + 1) % 4, oof.target))
    honest, other = (decided(one, "caruana", [name]).predicted[name] for one in (oof, wrong))
    assert (honest[oof.fold == 1] == other[oof.fold == 1]).all()
    assert (honest[oof.fold == 0] != other[oof.fold == 0]).any()


def judged(name, accuracy, gain, error):
    return NestedResult(name, accuracy, 0.0, 1.0, gain, error)


def test_inside_the_noise_the_plain_mean_wins():
    plain = judged("mean", 0.9, 0.0, 0.0)
    table = choose("method", [judged("caruana", 0.902, 0.002, 0.0011), plain], "mean", TASK.metric)
    assert table.chosen == "mean" and "caruana gains +0.20 ± 0.11 points, which is within 2" in table.why
    better = [judged("a", 0.93, 0.03, 0.02), judged("b", 0.92, 0.02, 0.001), plain]
    assert choose("method", better, "mean", TASK.metric).chosen == "b"  # the best that is beyond noise
    assert (
        choose("method", [plain, judged("c", 0.8, -0.1, 0.01)], "mean", TASK.metric).why
        == "nothing is better"
    )
    rounding = choose("method", [judged("d", 0.9 + 1e-12, 1e-12, 0.0), plain], "mean", TASK.metric)
    assert (rounding.chosen, rounding.why) == ("mean", "nothing is better")


def test_a_method_that_is_clearly_better_is_chosen():
    oof = library(models=2, skill=4.0)
    useless = np.roll(oof.probs[1], 1, axis=1)
    oof = oof._replace(probs=np.stack([oof.probs[0], useless, useless]))
    table = compare_methods(oof, SETTINGS, TASK)
    assert (
        table.chosen != "mean" and table.result(table.chosen).accuracy > table.result("mean").accuracy + 0.2
    )


def test_a_bias_that_helps_is_found():
    oof = library(ood=SCORES)
    tilted = oof.probs * np.array([1, 1, 1, 8.0])
    oof = oof._replace(probs=tilted / tilted.sum(2, keepdims=True))
    table = decided(oof, "mean", ["bias", "thresholds"])
    assert table.chosen in ("bias", "thresholds") and table.result("bias").gain > 0.02
    assert table.baseline == decisions.BASELINE


@pytest.mark.parametrize("name", ["log_loss", "f1_macro", "roc_auc_macro", "average_precision_padded"])
def test_any_metric_of_one_class_a_clip_judges_the_methods(name: str) -> None:
    """The baseline's value is the metric of the mean; the best comes first, in the metric's direction."""
    metric = make_metric(name)
    task = replace(TASK, metric=metric)
    oof = library()
    table = compare_methods(oof, SETTINGS, task, ["mean", "geometric", "greedy", "logloss"])
    mean = table.result("mean")
    weight = oof.weight if metric.weighted else None
    assert mean.accuracy == pytest.approx(metric(task.one_hot(oof.target), oof.probs.mean(0), weight))
    values = [one.accuracy for one in table.results]
    assert values == metric.ranked(values, float)
    for one in table.results:
        assert one.gain == pytest.approx(metric.gain(one.accuracy, mean.accuracy))
        assert one.low <= one.accuracy <= one.high
