from __future__ import annotations

import numpy as np
import pytest

from kagglekit.ensemble.decisions import DECISIONS, fit, measure_signs
from kagglekit.scoring.calibration import Answers

FILLER = 3


def blend(clips=2000, seed=0, tilt=0.0):
    """A blend's OOF, filler too rarely said by `tilt` nats, and a sign that tells half of the fillers."""
    rng = np.random.default_rng(seed)
    target = rng.integers(0, 4, clips)
    logits = rng.normal(size=(clips, 4))
    logits[np.arange(clips), target] += 2
    logits -= np.log(np.exp(logits).sum(1, keepdims=True))
    logits[:, FILLER] -= tilt
    signs = rng.normal(size=(clips, 3))
    signs[:, 2] += 2 * (target == FILLER)
    return Answers(logits, target, np.ones(clips)), signs


def right(name, oof, signs):
    decision = fit(name, oof, signs, FILLER)
    odds = np.exp(oof.log)
    probs = odds / odds.sum(1, keepdims=True)
    decided = decision(probs, signs, np.full(len(probs), 1 / len(probs)))
    assert np.allclose(decided.sum(1), 1)
    return (decided.argmax(1) == oof.target).mean()


def test_none_changes_nothing():
    oof, signs = blend()
    probs = np.exp(oof.log)
    assert fit("none", oof, signs, FILLER)(probs, signs, oof.weight) is probs


@pytest.mark.parametrize("name", [name for name in DECISIONS if name != "none"])
def test_every_decision_undoes_a_tilt(name):
    oof, signs = blend(tilt=2.0)
    assert right(name, oof, signs) > right("none", oof, signs) + 0.04


def test_the_gate_hears_its_sign():
    oof, signs = blend()
    plain = right("bias", oof, signs)
    assert right("gate_disagreement", oof, signs) > plain + 0.02
    assert abs(right("gate_energy", oof, signs) - plain) < 0.01  # its sign is noise here


def test_thresholds_are_the_best_of_the_grid():
    oof, signs = blend(tilt=1.0)
    decision = fit("thresholds", oof, signs, FILLER)
    assert decision.thresholds[:FILLER] == pytest.approx(1.0, abs=0.45) and decision.thresholds[FILLER] == 0


def test_prior_follows_the_clips():
    oof, signs = blend()
    decision = fit("prior", oof, signs, FILLER)
    many = np.concatenate([np.flatnonzero(oof.target == FILLER), np.flatnonzero(oof.target != FILLER)[:100]])
    probs = np.exp(oof.log[many])
    decided = decision(probs, signs[many], np.full(len(many), 1 / len(many))).argmax(1)
    plain = fit("bias", oof, signs, FILLER)(probs, signs[many], np.ones(len(many))).argmax(1)
    assert (decided == oof.target[many]).mean() > (plain == oof.target[many]).mean()
    assert (decided == FILLER).sum() > (plain == FILLER).sum()


def test_a_class_absent_from_oof_is_survived():
    oof, signs = blend()
    kept = oof.target != 1
    some = Answers(oof.log[kept], oof.target[kept], oof.weight[kept])
    for name in DECISIONS:
        decided = fit(name, some, signs[kept], FILLER)(
            np.exp(some.log), signs[kept], some.weight / kept.sum()
        )
        assert np.isfinite(decided).all(), name


def test_signs_by_hand():
    logits = np.log(np.array([[[8.0, 2.0]], [[2.0, 8.0]]]))
    energy, peak, disagreement = measure_signs(logits)[0]
    entropy = -(0.8 * np.log(0.8) + 0.2 * np.log(0.2))
    assert energy == pytest.approx(np.log(10)) and peak == pytest.approx(np.log(8))
    assert disagreement == pytest.approx(np.log(2) - entropy)
    assert measure_signs(logits[:1])[0, 2] == pytest.approx(0, abs=1e-12)  # a single model agrees with itself
