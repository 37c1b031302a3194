"""The rules of the verdict, each by evidence made by hand."""

from __future__ import annotations

from typing import Any

import pytest

from kagglekit.scoring.forecast import CvVsLb, cv_vs_lb
from kagglekit.scoring.metrics import make_metric
from kagglekit.verdict.evidence import Evidence
from kagglekit.verdict.facts import Difference, DomainGap, Groups
from kagglekit.verdict.verdict import Verdict, judge

ACCURACY = make_metric("accuracy", "single")


def groups(**changed: Any) -> Groups:
    usual: dict[str, Any] = {
        "clips": 200, "groups": 20, "named": True, "effective": 18.0, "alone": {}, "alone_share": 0.0,
        "test_domain": False,
    }  # fmt: skip
    return Groups(**usual | changed)


def compared(**changed: Any) -> DomainGap:
    louder = Difference(name="level", unit="dB", auc=0.7, train=-30.0, test=-21.0, shift=1.0)
    usual: dict[str, Any] = {
        "split": "test", "train_clips": 200, "test_clips": 150, "auc": 0.52, "auc_low": 0.48,
        "auc_high": 0.56, "fold_auc": None, "far": 0.5, "new_sounds": 0.02, "fold_new_sounds": 0.04,
        "shift": 1.0, "differences": [louder],
    }  # fmt: skip
    return DomainGap(**usual | changed)


def verdict(found: DomainGap | None, past: CvVsLb | None = None, **changed: Any) -> Verdict:
    return judge(Evidence(groups=groups(**changed), compared=found), past, ACCURACY)


UNSEEN = compared(auc=0.97, auc_low=0.95, auc_high=0.99, far=0.99)
AGREED = cv_vs_lb([(0.80, 0.801), (0.82, 0.819), (0.85, 0.851), (0.86, 0.861), (0.9, 0.899), (0.91, 0.912)])
TOO_HIGH = cv_vs_lb([(0.90, 0.80), (0.92, 0.82), (0.95, 0.84), (0.96, 0.87), (0.97, 0.88), (0.98, 0.9)])
WRONG_WAY = cv_vs_lb([(0.80, 0.91), (0.82, 0.9), (0.85, 0.86), (0.86, 0.85), (0.9, 0.82), (0.91, 0.8)])


def test_trust_gives_its_reasons() -> None:
    found = verdict(compared())
    assert found.level == "trust"
    assert found.sentence == (
        "trust: test clips differ from training clips no more than folds do (AUC 0.52, 95 % 0.48 to 0.56); "
        "the folds hold out 20 groups"
    )


def test_unseen_conditions_are_named_with_their_statistic() -> None:
    found = verdict(UNSEEN)
    assert found.level == "unknown"
    assert found.sentence == (
        "cannot be known: unseen recording conditions "
        "(AUC 0.97, 95 % 0.95 to 0.99; the test: level -21 dB, in training -30 dB)"
    )


@pytest.mark.parametrize(
    ("found", "level"),
    [
        (compared(auc=0.97, auc_low=0.95, far=0.6), "ranking"),  # heard in training, in another mix
        (compared(auc=0.97, auc_low=0.95, far=0.6, fold_auc=0.99), "trust"),  # as one fold differs
        (compared(auc=0.97, auc_low=0.95, far=0.6, shift=2.5), "unknown"),
        (compared(auc=0.70, auc_low=0.60, far=0.99), "trust"),
        (compared(new_sounds=0.3), "unknown"),
        (compared(new_sounds=0.3, fold_new_sounds=0.4), "trust"),  # a fold has as many
    ],
)
def test_levels(found: DomainGap, level: str) -> None:
    assert verdict(found).level == level


def test_chance_puts_few_groups_further_away() -> None:
    near = compared(auc=0.9, far=0.9)
    assert verdict(near).level == "unknown"
    assert verdict(near, groups=6, effective=6.0).level == "trust"


def test_folds_may_ask_more_than_the_test() -> None:
    found = verdict(compared(auc=0.2, auc_low=0.1, far=0.05))
    assert found.level == "trust" and "so that the public score may be higher" in found.sentence
    assert "higher" not in verdict(compared(auc=0.2, auc_low=0.1, far=0.3)).sentence
    assert "higher" not in verdict(compared(far=0.05), named=False).sentence


def test_few_groups() -> None:
    few = verdict(compared(), groups=4, effective=3.8)
    assert few.sentence.startswith("trust the ranking, not the level: the folds are made of 4 groups")
    uneven = verdict(compared(), groups=30, effective=1.4)
    assert uneven.sentence.startswith(
        "cannot be known: the folds are made of 30 groups, as uneven as 1.4 of one size"
    )
    alone = verdict(compared(), named=False, groups=200, effective=200.0)
    assert alone.level == "trust"
    assert "folds: 200 clips without a group: clips of one source may be in two folds" in alone.notes


def test_classes_without_a_second_group_are_named() -> None:
    found = verdict(compared(), alone={"owl": 30, "wren": 9}, alone_share=0.2)
    assert found.level == "ranking"
    assert "20 % of the validated clips have a class without a second group (owl, wren)" in found.sentence
    rare = verdict(compared(), alone={"owl": 1}, alone_share=0.005)
    assert rare.level == "trust"
    assert any("1 class of 1 clip (owl)" in note for note in rare.notes)


def test_earlier_scores_judge() -> None:
    assert "6 earlier CV scores rank with the public ones by 1.00" in verdict(compared(), AGREED).sentence
    high = verdict(compared(), TOO_HIGH)
    assert high.level == "ranking"
    assert "CV - public was +9.5 points on average" in high.sentence
    assert verdict(UNSEEN, AGREED).level == "ranking"  # the ranking is known by what the host has shown
    assert verdict(compared(), WRONG_WAY).level == "unknown"
    assert verdict(UNSEEN, WRONG_WAY).level == "unknown"
    assert verdict(compared(), cv_vs_lb([(0.9, 0.8)] * 4)).level == "trust"  # too few to judge


def test_a_hidden_test() -> None:
    assert verdict(None).sentence == (
        "cannot be known: there are too few test or unlabelled clips to compare with the training data"
    )
    assert verdict(None, AGREED).level == "trust"
    judged = verdict(None, test_domain=True, clips=300, groups=12, effective=9.0)
    assert judged.level == "trust"
    assert "300 annotated clips of the test's own domain judge, from 12 groups" in judged.sentence
    assert verdict(None, test_domain=True, named=False).level == "unknown"


def test_json() -> None:
    data = verdict(UNSEEN, AGREED).as_dict()
    assert set(data) == {"level", "sentence", "notes", "groups", "domain", "cv_vs_lb"}
    assert data["domain"]["auc"] == 0.97
    assert data["groups"]["groups"] == 20
