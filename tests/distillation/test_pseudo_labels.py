"""By whom test clips are labelled, and which."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from support import tiny
from support.oof import oof_of

from kagglekit.config.load import load_config
from kagglekit.distillation import pseudo_labels as pseudo
from kagglekit.distillation.pseudo_labels import audit, thresholds, vote
from kagglekit.distillation.rules import PseudoLabelRule

CLASSES = ("low", "mid", "silence", "unknown")


def library(skill=4.0, clips=800, seed=0):
    rng = np.random.default_rng(seed)
    target = rng.integers(0, 4, clips)
    logits = rng.normal(size=(3, clips, 4)) + rng.normal(size=(clips, 4))
    logits[:, np.arange(clips), target] += skill
    probs = np.exp(logits) / np.exp(logits).sum(2, keepdims=True)
    return oof_of(probs, target, fold=np.arange(clips) % 4)


def test_vote_by_hand():
    probs = np.array([[[0.9, 0.1]], [[0.4, 0.6]], [[0.8, 0.2]]])
    answer, sure, agreed = vote(probs, agree=2)
    assert (answer.tolist(), agreed.tolist()) == ([0], [True]) and sure[0] == pytest.approx(0.7)
    assert vote(probs, agree=3)[2].tolist() == [False]


def test_the_audit_finds_the_wanted_precision_or_more():
    rule = PseudoLabelRule(agree=3, precision=0.97, share=0.3)
    data = library(skill=3.2, clips=4000)
    found = audit(data, rule, CLASSES)
    plain = (data.probs.mean(0).argmax(1) == data.target).mean()
    assert plain < 0.96 and found.precision >= 0.97 and 0.2 < found.coverage < 1
    assert sum(count for count, _ in found.by_class.values()) == pytest.approx(found.coverage * 4000)


def test_a_fold_has_no_say_in_its_own_thresholds():
    oof, rule = library(skill=2.0), PseudoLabelRule(3, 0.97, 0.3)
    wrong = np.where(oof.fold == 1, (oof.target + 1) % 4, oof.target)
    limits = [
        thresholds(vote(oof.probs, 3), oof._replace(target=target), oof.fold != 1, rule)
        for target in (oof.target, wrong)
    ]
    assert (limits[0] == limits[1]).all() and limits[0].min() < 1


def test_a_class_that_is_never_right_enough_is_not_taken():
    data = library(skill=2.0)
    oof = data._replace(target=np.where(data.target == 2, 3, data.target))
    assert audit(oof, PseudoLabelRule(3, 0.97, 0.3), CLASSES).by_class["silence"] == (0, 0.0)


def test_a_class_that_is_wrong_too_often_is_left_out(monkeypatch):
    data = library(skill=5.0, clips=2000)
    # a word that only fold 1 holds out is heard as "mid": the other folds cannot know
    target = np.where((data.fold == 1) & (data.target == 1) & (np.arange(2000) % 3 > 0), 3, data.target)
    found = audit(data._replace(target=target), PseudoLabelRule(3, 0.97, 0.3), CLASSES)
    assert found.left_out == ("mid",) and found.by_class["mid"][1] < 0.94
    assert found.precision >= 0.97


def test_no_more_of_a_class_than_it_has_room_for(tmp_path, monkeypatch):
    rows = pl.DataFrame({"label": ["low"] * 30 + ["unknown"] * 60})
    monkeypatch.setattr(pseudo, "training_rows", lambda *args: rows)
    config = load_config(tiny.make(tmp_path))
    prepared = SimpleNamespace(config=config, clips=pl.DataFrame())
    answer, taken = np.repeat([0, 1, 3], 100), np.ones(300, bool)
    chosen = pseudo._draw(prepared, answer, taken, PseudoLabelRule(1, 0.97, share=0.25), 0)
    assert np.bincount(answer[chosen], minlength=4).tolist() == [10, 0, 0, 20]  # 30 of 120 in all: a quarter
