from __future__ import annotations

import numpy as np
import pytest
from support.oof import recorded_case

from kagglekit.ensemble.blends import Mean
from kagglekit.ensemble.hillclimb import hill_climb
from kagglekit.ensemble.selection import greedy, greedy_by_metric, select
from kagglekit.errors import KagglekitError
from kagglekit.scoring.metrics import make_metric

SETTINGS = {"rounds": 20, "bags": 4, "seed": 0}


def predictions(models=4, clips=600, classes=5, seed=0, skill=1.5):
    """Random models of different skill that err partly together: probs, target, weight."""
    rng = np.random.default_rng(seed)
    target = rng.integers(0, classes, clips)
    logits = rng.normal(size=(clips, classes)) + rng.normal(size=(models, clips, classes))
    logits[:, np.arange(clips), target] += np.linspace(0.5, 1, models)[:, None] * skill * 2
    probs = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
    return probs.astype(np.float32), target, rng.choice([0.5, 1.0, 2.0], classes)[target]


def accuracy(probs, target, weight):
    return float((probs.argmax(axis=1) == target) @ weight / weight.sum())


def score(probs, target, weight, picks):
    """Accuracy and minus log-loss of the mean of the picked models, computed plainly in float64."""
    mean = probs[picks].astype(np.float64).mean(axis=0)
    log_loss = -np.log(mean[np.arange(len(target)), target]) @ weight / weight.sum()
    return round(accuracy(mean, target, weight), 9), -log_loss


def plain_selection(probs, target, weight, rounds):
    """The algorithm by definition: no sums kept, no clips left out. For at most five models."""

    def best_prefix(picks):
        return max(
            (picks[:n] for n in range(1, len(picks) + 1)), key=lambda p: score(probs, target, weight, p)
        )

    models = list(range(len(probs)))
    ranked = sorted(models, key=lambda m: score(probs, target, weight, [m]), reverse=True)
    picks = best_prefix(ranked)
    while len(picks) < rounds:
        picks = [*picks, max(models, key=lambda m: score(probs, target, weight, [*picks, m]))]
    return np.bincount(best_prefix(picks), minlength=len(models)) / len(best_prefix(picks))


@pytest.mark.parametrize("seed", range(6))
def test_select_does_what_the_definition_says(seed):
    probs, target, weight = predictions(models=2 + seed % 4, seed=seed)
    expected = plain_selection(probs, target, weight, rounds=20)
    assert np.allclose(select(probs, target, weight, **SETTINGS), expected)


def test_one_model_gets_all_the_weight():
    assert select(*predictions(models=1), **SETTINGS).tolist() == [1.0]


@pytest.mark.parametrize("models", [2, 3, 7, 12])
def test_weights_are_shares_and_never_worse_than_the_best_model(models):
    probs, target, weight = predictions(models=models, seed=models)
    weights = select(probs, target, weight, **SETTINGS)
    best = max(accuracy(p, target, weight) for p in probs)
    assert (weights >= 0).all() and weights.sum() == pytest.approx(1)
    assert accuracy(Mean(weights)(probs), target, weight) >= best


def test_a_mean_of_bags_that_is_worse_than_the_best_model_is_not_used(monkeypatch):
    probs, target, weight = predictions(models=6)
    probs[0] = 1 / 5  # says nothing
    worst = np.eye(6)[0]
    monkeypatch.setattr("kagglekit.ensemble.selection._bagged", lambda *args: worst)
    weights = select(probs, target, weight, **SETTINGS)
    assert accuracy(Mean(weights)(probs), target, weight) >= max(accuracy(p, target, weight) for p in probs)


def test_a_useless_model_gets_no_weight():
    probs, target, weight = predictions(models=3, skill=3)
    useless = np.roll(probs[2], 1, axis=1)[None]
    assert select(np.concatenate([probs, useless]), target, weight, **SETTINGS)[3] == 0


def test_of_equally_good_models_the_one_already_picked_is_picked():
    probs, target, weight = predictions(models=1)
    weights = select(np.concatenate([probs, probs, probs]), target, weight, **SETTINGS)
    assert sorted(weights.tolist()) == [0, 0, 1]


def test_equal_accuracy_is_decided_by_log_loss():
    target = np.zeros(10, int)
    sure, unsure = np.tile([0.9, 0.1], (10, 1)), np.tile([0.6, 0.4], (10, 1))
    weights = select(np.stack([unsure, sure]), target, np.ones(10), **SETTINGS)
    assert weights.tolist() == [0, 1]


def test_only_clips_with_weight_count():
    probs, target, weight = predictions(models=4)
    weight[300:] = 0
    cut = select(probs[:, :300], target[:300], weight[:300], **SETTINGS)
    assert np.allclose(select(probs, target, weight, **SETTINGS), cut)


def test_seed_decides():
    data = predictions(models=12)
    first, same, other = (select(*data, rounds=20, bags=3, seed=seed) for seed in (0, 0, 1))
    assert (first == same).all() and (first != other).any()


def test_predictions_that_are_not_numbers_are_refused():
    probs, target, weight = predictions()
    probs[2, 5] = np.nan
    with pytest.raises(KagglekitError, match="model 3 of 4"):
        select(probs, target, weight, **SETTINGS)


def test_clips_without_any_weight_are_refused():
    probs, target, weight = predictions()
    with pytest.raises(KagglekitError, match="none of 600 clips"):
        select(probs, target, 0 * weight, **SETTINGS)


@pytest.mark.parametrize(
    ("seed", "picks"),
    [(0, [0, 0, 7, 4, 6]), (1, [2, 1, 2, 3, 4]), (2, [0, 0, 1, 0, 13])],  # autogluon.core 1.6.3
)
def test_greedy_picks_what_autogluon_picks(seed, picks):
    probs, target = recorded_case(5, 80, 3, seed)
    weights = greedy(probs, target, np.ones(80), rounds=25)
    assert weights.tolist() == pytest.approx((np.array(picks) / sum(picks)).tolist())


def test_blend_is_the_weighted_mean():
    probs, _, _ = predictions(models=2)
    assert np.allclose(Mean(np.array([0.25, 0.75]))(probs), 0.25 * probs[0] + 0.75 * probs[1], atol=1e-6)


def nudged(probs, seed=0):
    """The same predictions, each moved by what another order of additions may move them."""
    return probs * (1 + np.random.default_rng(seed).uniform(-1e-13, 1e-13, probs.shape))


@pytest.mark.parametrize("seed", range(3))
def test_rounding_does_not_choose(seed: int) -> None:
    """Models that are copies but for rounding, and their order, which alone may decide between equals."""
    probs, target, weight = predictions(models=3, clips=200, seed=seed)
    probs = np.repeat(probs.astype(np.float64), 2, axis=0)
    truth, metric = target[:, None] == np.arange(5), make_metric("log_loss")
    for choose in (
        lambda given: select(given, target, weight, **SETTINGS),
        lambda given: greedy(given, target, weight, rounds=10),
        lambda given: hill_climb(given, target, weight, negative=True),
        lambda given: greedy_by_metric(given, truth, metric, weight, rounds=10),
    ):
        expected = choose(probs)
        for other in range(3):
            assert np.allclose(choose(nudged(probs, other)), expected, atol=1e-9)


def test_equal_scores_are_kept_in_their_order() -> None:
    metric = make_metric("accuracy")
    scores = [0.5, 0.5 + 1e-12, 0.7, 0.7 - 1e-12, float("nan")]
    assert metric.ranked(range(5), lambda place: scores[place]) == [2, 3, 0, 1, 4]
    assert not metric.better(0.5 + 1e-12, 0.5) and metric.better(0.5, float("nan"))
    assert metric.best([], float) is None
