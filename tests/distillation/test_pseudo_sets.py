"""Pseudo-labels of clips that may have several classes."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from kagglekit.distillation import pseudo_sets
from kagglekit.distillation.pseudo_sets import audit, fit
from kagglekit.distillation.rules import PseudoLabelRule
from kagglekit.scoring.numerics import sigmoid
from kagglekit.scoring.oof import Oof

CLASSES = ("rare", "some", "half")
RULE = PseudoLabelRule(agree=2, precision=0.95, share=0.25)


def library(skill: float = 6.0, clips: int = 2000, seed: int = 0) -> Oof:
    rng = np.random.default_rng(seed)
    truth = rng.uniform(size=(clips, 3)) < [0.05, 0.2, 0.5]
    log = skill * (truth - 0.5) + rng.normal(size=(clips, 3)) + rng.normal(size=(2, clips, 3))
    place = np.arange(clips)
    return Oof(sigmoid(log), truth, np.ones(clips), place % 4, place, np.empty((clips, 0)))


def test_the_audit_finds_the_wanted_precision_on_both_sides():
    oof = library(skill=4.0)
    found = audit(oof, RULE, CLASSES)
    assert found.precision >= 0.95 and 0.3 < found.coverage < 1 and found.left_out == ()
    for index, name in enumerate(CLASSES):
        count, precision = found.by_class[name]
        absent, right = found.absent[name]
        missed = (1 - right) * absent / oof.target[:, index].sum()
        assert count >= 20 and precision > 0.9 and missed < 0.1 and right > 0.97


def test_a_fold_has_no_say_in_its_own_thresholds():
    oof = library()
    wrong = oof._replace(target=np.where((oof.fold == 1)[:, None], ~oof.target, oof.target))
    honest, other = (fit(one, oof.fold != 1, RULE) for one in (oof, wrong))
    assert (honest.present == other.present).all() and (honest.absent == other.absent).all()


def test_a_class_with_few_clips_is_neither_present_nor_absent():
    oof = library(clips=200)
    limits = fit(oof, np.ones(200, bool), RULE)
    verdicts = limits.verdicts(oof.probs, 2)
    assert oof.target[:, 0].sum() < 20 and not (verdicts.present | verdicts.absent)[:, 0].any()
    assert verdicts.present[:, 2].any() and verdicts.absent[:, 2].any()


def test_all_runs_must_be_sure():
    oof = library()
    limits, other = fit(oof, np.ones(2000, bool), RULE), oof.probs.copy()
    other[1] = 0.0
    assert not limits.verdicts(other, 2).present.any()
    other[1] = 1.0
    assert not limits.verdicts(other, 2).absent.any()


def test_unknown_pairs_have_no_say():
    oof = library()
    known = np.random.default_rng(1).uniform(size=oof.target.shape) < 0.6
    first, second = (
        fit(oof._replace(known=known, target=target), np.ones(2000, bool), RULE)
        for target in (oof.target & known, oof.target | ~known)
    )
    assert (first.present == second.present).all() and (first.absent == second.absent).all()


def test_a_class_that_is_wrong_in_one_fold_is_left_out():
    oof = library()
    truth = oof.target.copy()
    truth[(oof.fold == 1) & (np.arange(2000) % 3 > 0), 1] = False  # most calls of it are another bird's there
    found = audit(oof._replace(target=truth), RULE, CLASSES)
    assert found.left_out == ("some",) and found.precision >= 0.95


def test_no_class_gets_more_than_its_share(monkeypatch: pytest.MonkeyPatch):
    rows = pl.DataFrame({"label": ["half"] * 60 + ["rare,half"] * 20 + [""] * 10})
    monkeypatch.setattr(pseudo_sets, "training_rows", lambda *_: rows)
    truth = np.array([[name in cell.split(",") for name in CLASSES] for cell in rows["label"]])
    task = SimpleNamespace(truth=lambda _: truth)
    prepared = SimpleNamespace(config=None, clips=rows, task=task)
    present = np.repeat([[True, False, True], [False, True, False], [False, False, True], [False] * 3], 50, 0)
    chosen = pseudo_sets._draw(prepared, present, np.ones(200, bool), RULE, 0)
    counts = present[chosen].sum(0)
    assert counts[0] <= 7 and counts[1] == 0 and counts[2] <= 27  # a third of 20, 0 and 80
    assert (~present[chosen].any(1)).sum() <= 3 and len(chosen) <= 30
    assert (pseudo_sets._draw(prepared, present, np.ones(200, bool), RULE, 0) == chosen).all()
