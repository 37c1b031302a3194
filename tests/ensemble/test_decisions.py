from __future__ import annotations

import numpy as np
import pytest
from support.oof import one_run

from kagglekit.ensemble.decisions import DECISIONS, fit, ood_scores

FILLER = 3


def blend(clips=2000, seed=0, tilt=0.0):
    """A blend's OOF, filler too rarely said by `tilt` nats, and an OOD score that tells half of the fillers."""
    rng = np.random.default_rng(seed)
    target = rng.integers(0, 4, clips)
    logits = rng.normal(size=(clips, 4))
    logits[np.arange(clips), target] += 2
    logits -= np.log(np.exp(logits).sum(1, keepdims=True))
    logits[:, FILLER] -= tilt
    scores = rng.normal(size=(clips, 3))
    scores[:, 2] += 2 * (target == FILLER)
    return one_run(logits, target, ood=scores)


def right(name, oof):
    decision = fit(name, oof, FILLER)
    decided = decision(oof.probs[0], oof.ood, oof.share)
    assert np.allclose(decided.sum(1), 1)
    return (decided.argmax(1) == oof.target).mean()


def test_none_changes_nothing():
    oof = blend()
    probs = oof.probs[0]
    assert fit("none", oof, FILLER)(probs, oof.ood, oof.weight) is probs


@pytest.mark.parametrize("name", [name for name in DECISIONS if name != "none"])
def test_every_decision_undoes_a_tilt(name):
    oof = blend(tilt=2.0)
    assert right(name, oof) > right("none", oof) + 0.04


def test_the_gate_uses_its_score():
    oof = blend()
    plain = right("bias", oof)
    assert right("gate_disagreement", oof) > plain + 0.02
    assert abs(right("gate_energy", oof) - plain) < 0.01  # its score is noise here


def test_thresholds_are_the_best_of_the_grid():
    oof = blend(tilt=1.0)
    decision = fit("thresholds", oof, FILLER)
    assert decision.thresholds[:FILLER] == pytest.approx(1.0, abs=0.45) and decision.thresholds[FILLER] == 0


def test_prior_follows_the_clips():
    oof = blend()
    decision = fit("prior", oof, FILLER)
    many = np.concatenate([np.flatnonzero(oof.target == FILLER), np.flatnonzero(oof.target != FILLER)[:100]])
    some = oof.select(many)
    decided = decision(some.probs[0], some.ood, some.share).argmax(1)
    plain = fit("bias", oof, FILLER)(some.probs[0], some.ood, np.ones(len(many))).argmax(1)
    assert (decided == oof.target[many]).mean() > (plain == oof.target[many]).mean()
    assert (decided == FILLER).sum() > (plain == FILLER).sum()


def test_a_class_absent_from_oof_is_survived():
    oof = blend()
    some = oof.select(oof.target != 1)
    for name in DECISIONS:
        decided = fit(name, some, FILLER)(some.probs[0], some.ood, some.share)
        assert np.isfinite(decided).all(), name


def test_ood_scores_by_hand():
    logits = np.log(np.array([[[8.0, 2.0]], [[2.0, 8.0]]]))
    energy, peak, disagreement = ood_scores(logits)[0]
    entropy = -(0.8 * np.log(0.8) + 0.2 * np.log(0.2))
    assert energy == pytest.approx(np.log(10)) and peak == pytest.approx(np.log(8))
    assert disagreement == pytest.approx(np.log(2) - entropy)
    assert ood_scores(logits[:1])[0, 2] == pytest.approx(0, abs=1e-12)  # a single model agrees with itself
