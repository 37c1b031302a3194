"""Thresholds and numbers of classes, fitted on OOF rows that may have several classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from kagglekit.config import Ensemble
from kagglekit.config.names import METRICS, SET_DECISIONS
from kagglekit.ensemble import set_decisions
from kagglekit.ensemble.nested_cv import Comparison, blends_of_folds, compare_decisions
from kagglekit.ensemble.set_decisions import GAINS, describe, fit
from kagglekit.scoring.metrics import make_metric
from kagglekit.scoring.numerics import sigmoid
from kagglekit.scoring.oof import Oof
from kagglekit.scoring.task import Task

CLASSES = tuple("abcdef")
FITTED = SET_DECISIONS[1:]


def task_of(metric: str, **limits: int) -> Task:
    return Task(CLASSES, CLASSES, None, replace(make_metric(metric, "multi"), **limits), "|")


def rows(count: int, seed: int = 0, runs: int = 1) -> Oof:
    """Classes from rare to common, whose probabilities are too low, each by a shift of its own."""
    rng = np.random.default_rng(seed)
    prior = np.array([0.03, 0.05, 0.1, 0.15, 0.3, 0.4])
    truth = rng.uniform(size=(count, 6)) < prior
    log = np.log(prior / (1 - prior)) - np.array([2.0, 0.0, 1.0, 2.0, 0.5, 1.5]) + 3 * truth
    probs = sigmoid(log + rng.normal(size=(runs, count, 6)))
    place = np.arange(count)
    return Oof(probs, truth, np.ones(count), place % 4, place % 40, np.empty((count, 0)))


def answered(oof: Oof, name: str, task: Task) -> np.ndarray:
    return fit(name, oof, task)(oof.probs[0], oof.ood, oof.share) >= 0.5


@pytest.mark.parametrize("name", FITTED)
@pytest.mark.parametrize("metric", GAINS)
def test_what_is_fitted_gains_on_other_rows(metric: str, name: str) -> None:
    task, other = task_of(metric), rows(4000, seed=1)
    rule = fit(name, rows(400), task)
    before = task.metric(other.target, other.probs[0])
    after = task.metric(other.target, rule(other.probs[0], other.ood, other.share))
    assert name == "top_k" or after > before + (0.02 if name == "thresholds" else 0)
    assert rule.facts(CLASSES)["metric"] == metric and describe(rule.facts(CLASSES))


@pytest.mark.parametrize("metric", GAINS)
def test_no_threshold_of_a_class_alone_is_better(metric: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without blur and trust they are the best on the rows that they are fitted on, but for steps of 0.1 nats."""
    monkeypatch.setattr(set_decisions, "BLUR", 0.01)
    monkeypatch.setattr(set_decisions, "TRUST", 0.0)
    task, oof = task_of(metric), rows(800)
    rule = fit("thresholds", oof, task)
    value = task.metric(oof.target, rule(oof.probs[0], oof.ood, oof.share))
    for place in range(6):
        for at in np.linspace(-6, 3, 50):
            moved = rule.thresholds.copy()
            moved[place] = at
            other = replace(rule, thresholds=moved)(oof.probs[0], oof.ood, oof.share)
            assert task.metric(oof.target, other) <= value + 0.004


def decided(oof: Oof, task: Task, names: Sequence[str] | None = None) -> Comparison:
    return compare_decisions(blends_of_folds(oof, Ensemble(), task, "mean"), task, names)


@pytest.mark.parametrize("name", FITTED)
def test_no_row_has_a_say_in_its_own_decision(name: str) -> None:
    oof, task = rows(400, runs=2), task_of("f1_macro")
    wrong = oof._replace(target=np.where((oof.fold == 1)[:, None], ~oof.target, oof.target))
    honest, other = (decided(one, task, [name]).predicted[name] for one in (oof, wrong))
    assert (honest[oof.fold == 1] == other[oof.fold == 1]).all()
    assert (honest[oof.fold == 0] != other[oof.fold == 0]).any()


def test_nested_cv_chooses_what_gains_and_nothing_without_noise() -> None:
    task = task_of("f1_macro")
    table = decided(rows(600, runs=2), task)
    assert {one.name for one in table.results} == set(SET_DECISIONS)
    assert table.chosen in ("threshold", "thresholds") and table.result(table.chosen).gain > 0.05
    fair = rows(600)._replace(probs=sigmoid(np.where(rows(600).target, 4.0, -4.0))[None])
    assert decided(fair, task).chosen == "none"


def test_a_class_with_few_positives_has_the_threshold_of_all() -> None:
    oof = rows(400)
    few = oof.target.copy()
    few[np.flatnonzero(few[:, 0])[5:], 0] = False
    facts = fit("thresholds", oof._replace(target=few), task_of("f1_macro")).facts(CLASSES)
    assert set(facts["thresholds"]) == set("bcdef")
    assert describe(facts).startswith("from probability 0.") and "in 5 classes, 0." in describe(facts)


@pytest.mark.parametrize("metric", GAINS)
def test_unknown_pairs_have_no_say(metric: str) -> None:
    oof, task = rows(300), task_of(metric)
    known = np.random.default_rng(3).uniform(size=oof.target.shape) < 0.7
    for name in FITTED:
        first, second = (
            fit(name, oof._replace(known=known, target=target), task).facts(CLASSES)
            for target in (oof.target & known, oof.target | ~known)
        )
        assert first == second


def test_the_k_likeliest_classes_are_answered() -> None:
    oof = rows(200)
    rule = set_decisions.SetDecision("f1_rows", np.zeros(6), 0.0, k=2)
    same = np.round(oof.probs[0], 1)  # with many that are equal
    chosen = rule(same, oof.ood, oof.share) >= 0.5
    assert (chosen.sum(1) == 2).all()
    assert (chosen == (np.argsort(np.argsort(-same, 1, kind="stable"), 1) < 2)).all()
    assert describe(rule.facts(CLASSES)) == "the 2 likeliest classes of each row, fitted for f1_rows"


def test_as_many_classes_as_a_cell_holds() -> None:
    """`submission.shape: top_k` has 1 to k labels a row, and so have the answers that are scored."""
    oof, task = rows(300), task_of("f1_rows", least=1, most=2)
    plain = task.metric.decide(oof.probs[0])
    assert set(plain.sum(1)) == {1, 2}
    assert (plain >= task.metric.decide_sets(oof.probs[0] / 10)).all()
    assert fit("top_k", oof, task).k in (1, 2)
    moved = fit("threshold", oof, task)(oof.probs[0], oof.ood, oof.share)
    assert set(task.metric.decide(moved).sum(1)) <= {1, 2}


@pytest.mark.parametrize("metric", [name for name, info in METRICS.items() if "multi" in info.kinds])
def test_only_metrics_of_sets_have_decisions(metric: str) -> None:
    assert task_of(metric).decisions == (SET_DECISIONS if metric in GAINS else ("none",))
