"""The report's rule as logits, and thresholds fitted to it."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from kagglekit.scoring.thresholds import ThresholdRule, Thresholds, apply_by_fold, fit_by_fold, rule_for
from kagglekit.training.head import make_head

CLASSES = ("yes", "no", "silence", "unknown")
RULE = ThresholdRule(unknown=3, silence=2)
WORDS = [("yes", "yes"), ("no", "no"), ("bed", "unknown"), ("cat", "unknown"), ("_silence_", "silence")]


def drawn(count: int, seed: int = 0) -> np.ndarray[Any, Any]:
    """Probabilities of yes, no, bed, cat and a double word; sure, and unsure, and in between."""
    rng = np.random.default_rng(seed)
    scale = rng.uniform(0, 4, (count, 1))
    exp = np.exp(scale * rng.normal(size=(count, 5)))
    return np.asarray(exp / exp.sum(1, keepdims=True))


def raw_of(probs: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Raw forms by the head itself, whose outputs are sorted: _double_ is last, then bed cat no yes."""
    clips = pl.DataFrame(WORDS, schema=["word", "label"], orient="row")
    head = make_head(clips, CLASSES, "words_threshold", "unknown", "silence")
    assert head.outputs == ("bed", "cat", "no", "yes", "_double_") and head.rule == RULE
    columns = torch.tensor(probs).log()[:, [2, 3, 1, 0, 4]]
    return head.collapse(columns).numpy()


def by_hand(probs: np.ndarray[Any, Any], unknown: float, silence: float) -> list[int]:
    """The rule as the report has it, clip by clip."""
    answers = []
    for row in probs:
        best = row.max()
        answers.append(2 if best < silence else 3 if best < unknown else [0, 1, 3, 3, 3][row.argmax()])
    return answers


@pytest.mark.parametrize(("unknown", "silence"), [(0.5, 0.3), (0.9, 0.2), (0.3, 0.6), (0, 0), (0.5, 0.5)])
def test_argmax_is_the_rule(unknown: float, silence: float) -> None:
    probs = drawn(2000)
    logits = RULE.apply(raw_of(probs), Thresholds(unknown, silence))
    assert logits.dtype == np.float32 and np.isfinite(logits).all()
    assert logits.argmax(1).tolist() == by_hand(probs, unknown, silence)


def test_raw_forms_add_up_to_one_so_that_their_means_are_raw_forms() -> None:
    probs = drawn(50)
    raw = np.exp(raw_of(probs))
    np.testing.assert_allclose(raw.sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(raw[:, 3], probs[:, 2:].max(1), rtol=1e-5)


def test_silence_that_the_outputs_say_is_believed() -> None:
    rule = rule_for("zero_shot", 4, (0, 1, 2, 3))
    assert rule == ThresholdRule(3, 2, has_silence_output=True)
    raw = np.log([[0.1, 0.1, 0.7, 0.1], [0.2, 0.2, 0.3, 0.3], [0.8, 0.1, 0.05, 0.05]])
    assert rule.apply(raw, Thresholds(0.5, 0.31)).argmax(1).tolist() == [2, 2, 0]


@pytest.mark.parametrize("labels", ["targets", "words", "cascade"])
def test_other_schemes_have_no_rule(labels: str) -> None:
    assert rule_for(labels, 4, (0, 1, 2, 3)) is None


def test_fit_finds_the_best_pair_of_all() -> None:
    probs = drawn(400, seed=1)
    rng = np.random.default_rng(2)
    label = np.where(rng.random(400) < 0.8, by_hand(probs, 0.62, 0.41), rng.integers(0, 4, 400))
    weight = rng.random(400)
    raw = raw_of(probs)
    found = RULE.fit(raw, label, weight)

    def accuracy(pair: Thresholds) -> float:
        return float(weight @ (RULE.apply(raw, pair).argmax(1) == label))

    tried = [Thresholds(u, s) for u in np.arange(0, 1, 0.02) for s in np.arange(0, 1, 0.02)]
    assert accuracy(found) >= max(map(accuracy, tried)) - 1e-9
    assert abs(found.unknown - 0.62) < 0.06 and abs(found.silence - 0.41) < 0.06


def test_a_fold_is_judged_by_thresholds_of_the_others() -> None:
    probs = drawn(900, seed=3)
    fold = np.arange(900) % 3
    label = np.where(fold == 0, by_hand(probs, 0.9, 0.8), by_hand(probs, 0.5, 0.3))
    raw, weight = raw_of(probs), np.full(900, 1 / 900)
    pairs = fit_by_fold(RULE, raw, label, weight, fold)
    assert abs(pairs[0].unknown - 0.5) < 0.05 and abs(pairs[0].silence - 0.3) < 0.05
    logits = apply_by_fold(RULE, raw, fold, pairs)
    np.testing.assert_array_equal(logits[fold == 0], RULE.apply(raw[fold == 0], pairs[0]))
    assert (logits.argmax(1) == label)[fold == 0].mean() < 0.9
