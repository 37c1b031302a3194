"""Soft pseudo-labels: their power, their audit, and which clips get any."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from kagglekit.distillation.soft_labels import _check_classes, audit, candidates, transform
from kagglekit.errors import KagglekitError
from kagglekit.scoring.oof import Oof

SINGLE, MULTI = (
    SimpleNamespace(multi=multi, classes=("a", "b"), one_hot=lambda truth: truth) for multi in (False, True)
)
PROBS = np.array([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7]])


def test_a_power_takes_more_from_what_is_unsure():
    squared = transform(PROBS, 2.0, MULTI)
    np.testing.assert_allclose(squared, PROBS**2)
    single = transform(PROBS, 2.0, SINGLE)
    np.testing.assert_allclose(single.sum(1), 1)
    assert (single.max(1) > PROBS.max(1)).all() and (single.argmax(1) == PROBS.argmax(1)).all()


def test_the_audit_counts_known_pairs_by_their_weight():
    truth = np.array([[True, False], [False, True], [True, True]])
    known = np.array([[True, True], [True, True], [False, True]])
    oof = Oof(
        PROBS[None], truth, np.array([1.0, 2.0, 1.0]), np.arange(3), np.arange(3), np.empty((3, 0)), known
    )
    found = audit(oof, 1.0, MULTI)
    assert found.precision == pytest.approx(2 / 4)  # (0, a) and (2, b) are right, (1, a), twice, is not
    assert found.recall == pytest.approx(2 / 4)
    assert found.mass == pytest.approx((0.9 + 2 * 0.4 + 0.7) / (1.0 + 2 * 1.0 + 0.7))


def clips(*rows: tuple[str, str, str | None, str | None]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=["clip_id", "split", "sha1", "problem"], orient="row")


def test_copies_of_the_test_and_of_training_clips_do_not_teach(capsys: pytest.CaptureFixture[str]):
    from kagglekit.terminal import console

    console.configure()
    part = "#5-10"
    table = clips(
        ("train", "train", "a" * 40, None),
        ("t0", "test", "b" * 40, None),
        ("u0", "unlabelled", "a" * 40 + part, None),
        ("u1", "unlabelled", "b" * 40 + part, None),
        ("u2", "unlabelled", "c" * 40, "unreadable"),
        ("u3", "unlabelled", "d" * 40, None),
    )
    assert candidates(table, with_test=False).tolist() == [False, False, False, False, True]
    err = capsys.readouterr().err
    assert "data.unlabelled: 1 clip left out, copies of clips of the test" in err
    assert "data.unlabelled: 1 clip left out, copies of clips of the training" in err
    assert candidates(table, with_test=True).tolist() == [True, False, False, False, True]
    with pytest.raises(KagglekitError, match=r"there is nothing to pseudo-label.*, and the test is left out"):
        candidates(table.head(5), with_test=False)
    with pytest.raises(KagglekitError, match="there is nothing to pseudo-label"):
        candidates(table.head(1), with_test=True)


def test_pseudo_labels_of_one_class_are_refused():
    _check_classes(np.array([0, 1, 1, 1]), SINGLE, 0)
    with pytest.raises(KagglekitError, match="of fold 2, 200 of 201 clips are likeliest 'b'"):
        _check_classes(np.array([0] + [1] * 200), SINGLE, 2)
    with pytest.raises(KagglekitError, match="no clip without labels may teach fold 2"):
        _check_classes(np.array([], int), SINGLE, 2)
