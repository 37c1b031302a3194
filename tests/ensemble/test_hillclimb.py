from __future__ import annotations

import numpy as np
import pytest
from support.oof import recorded_case

from kagglekit.ensemble.hillclimb import hill_climb


def predictions(models=4, clips=300, classes=4, seed=0):
    rng = np.random.default_rng(seed)
    target = rng.integers(0, classes, clips)
    logits = rng.normal(size=(clips, classes)) + rng.normal(size=(models, clips, classes))
    logits[:, np.arange(clips), target] += np.linspace(1, 2, models)[:, None]
    probs = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
    return probs, target, rng.choice([0.5, 1.0], classes)[target]


def by_definition(probs, target, weight, negative):
    """The package's loops: every weight of the grid on every model left, the first best, until none helps."""
    grid = np.arange(-0.5, 0.51, 0.01) if negative else np.arange(0.01, 0.51, 0.01)

    def accuracy(blend):
        return (blend.argmax(1) == target) @ weight / weight.sum()

    alone = [accuracy(model) for model in probs]
    order = sorted(range(len(probs)), key=lambda m: -alone[m])
    now, best, weights, left = probs[order[0]], alone[order[0]], np.eye(len(probs))[order[0]], order[1:]
    while left:
        tried = [(accuracy((1 - w) * now + w * probs[m]), m, w) for m in left for w in grid]
        score, model, w = max(tried, key=lambda one: one[0])
        if score <= best + 1e-12:
            break
        now, best = (1 - w) * now + w * probs[model], score
        weights = (1 - w) * weights + w * np.eye(len(probs))[model]
        left.remove(model)
    return weights


@pytest.mark.parametrize("negative", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_hill_climb_does_what_the_definition_says(seed, negative):
    data = predictions(models=2 + seed, seed=seed)
    assert np.allclose(hill_climb(*data, negative=negative), by_definition(*data, negative))


@pytest.mark.parametrize(
    ("seed", "negative", "weights"),
    [  # hillclimbers 0.1.4: two classes, since it takes one column a model
        (0, False, [0, 0, 0.05, 0.2375, 0.7125]),
        (0, True, [0, -0.3403, 0.17, 0.292575, 0.877725]),
        (1, True, [0, 0, 0, 0.94, 0.06]),
        (2, False, [0, 0, 0, 0.82, 0.18]),
    ],
)
def test_hill_climb_climbs_as_the_package_does(seed, negative, weights):
    probs, target = recorded_case(5, 80, 2, seed)
    assert hill_climb(probs, target, np.ones(80), negative=negative) == pytest.approx(weights)


def test_one_model_is_itself():
    assert hill_climb(*predictions(models=1), negative=True).tolist() == [1.0]


def test_a_copy_is_not_mixed_in():
    probs, target, weight = predictions(models=1)
    weights = hill_climb(np.concatenate([probs, probs]), target, weight, negative=True)
    assert weights.tolist() == [1.0, 0.0]


def test_a_harmful_model_gets_a_negative_weight():
    rng = np.random.default_rng(0)
    target = rng.integers(0, 3, 500)
    noise = rng.normal(size=(500, 3))
    logits = np.stack([noise + 0.4 * rng.normal(size=(500, 3)), 1.5 * noise])
    logits[0, np.arange(500), target] += 1
    probs = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
    weights = hill_climb(probs, target, np.ones(500), negative=True)
    assert weights[1] < 0 and weights.sum() == pytest.approx(1)
