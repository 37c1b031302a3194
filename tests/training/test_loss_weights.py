"""Weights of clips and masks of classes, from the clips table to the loss."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
import torch
from torch.nn import functional

from kagglekit.config import Train
from kagglekit.config.names import LabelKind
from kagglekit.distillation.teaching import soft_table
from kagglekit.files import parquet
from kagglekit.scoring.metrics import make_metric
from kagglekit.scoring.task import Task
from kagglekit.training.head import make_head
from kagglekit.training.loss_weights import LossWeights, loss_weights
from kagglekit.training.losses import loss_of
from kagglekit.training.mixing import Mixing
from kagglekit.training.soft_targets import table_path, training_set

CLASSES = ("a", "b", "c")
MULTI = Task(CLASSES, CLASSES, None, make_metric("lwlrap", "multi"), "|")
SINGLE = Task(CLASSES, CLASSES, None, make_metric("accuracy"))
BCE = Train(loss="bce", labels="targets", label_smoothing=0.0)


def clips(**columns: list[object]) -> pl.DataFrame:
    plain = {
        "clip_id": ["1", "2", "3", "4"],
        "label": ["a", "a|b", "c", ""],
        "weight": [1.0] * 4,
        "masked": [""] * 4,
        "soft": [""] * 4,
        "soft_target": [0.5] * 4,
    }
    return pl.DataFrame({**plain, **columns})


def test_without_masks_and_with_equal_weights_there_are_none() -> None:
    assert loss_weights(clips(), MULTI) is None
    assert loss_weights(clips(weight=[0.3] * 4), MULTI) is None
    assert loss_weights(clips().drop("weight", "masked", "soft"), MULTI) is None
    assert loss_weights(clips(masked=["b", "", "", ""]), SINGLE) is None


def test_weights_and_masks_have_a_mean_of_one_over_the_known_pairs() -> None:
    weights = loss_weights(clips(weight=[1.0, 3.0, 1.0, 3.0], masked=["b", "c", "", "a|b|c"]), MULTI)
    assert weights is not None and weights.known is not None
    assert weights.known.tolist() == [[True, False, True], [True, True, False], [True] * 3, [False] * 3]
    pairs = weights.of_batch(torch.arange(4))
    torch.testing.assert_close(pairs.mean(), torch.tensor(1.0))
    torch.testing.assert_close(pairs[1, 0] / pairs[0, 0], torch.tensor(3.0))
    assert (pairs[3] == 0).all()


def test_a_soft_class_has_its_target_and_a_loss() -> None:
    table = clips(soft=["b", "b", "", ""], soft_target=[0.25] * 4, masked=["b|c", "", "", ""])
    made = training_set(
        None, 0, table, make_head(table, CLASSES, "targets", None, kind=LabelKind.MULTI), MULTI
    )
    assert made.targets is not None and made.weights is not None and made.weights.known is not None
    assert made.targets.tolist() == [[1, 0.25, 0], [1, 1, 0], [0, 0, 1], [0, 0, 0]]
    assert made.weights.known[0].tolist() == [True, True, False]


def test_mixed_clips_know_what_both_know_and_weigh_as_their_targets_mix() -> None:
    known = torch.tensor([[True, False, True], [True, True, False]])
    weights = LossWeights(torch.tensor([1.0, 3.0]), known)
    mixing = Mixing(torch.tensor([1, 0]), torch.tensor([0.25, 1.0]), None, False)
    chosen = torch.tensor([0, 1])
    assert weights.of_batch(chosen, mixing).tolist() == [[2.5, 0, 0], [3.0, 0, 0]]
    assert LossWeights(weights.clip).of_batch(chosen, mixing).tolist() == [[2.5], [3.0]]


def test_rare_classes_weigh_more_by_a_power_of_their_size() -> None:
    table = clips(label=["a", "a", "a", "b"])
    targets = torch.tensor([[1.0, 0, 0], [1, 0, 0], [1, 0, 0], [0, 1, 0]])
    assert loss_weights(table, SINGLE, targets, 0) is None
    single = loss_weights(table, SINGLE, targets, 0.5)
    assert single is not None and single.output is not None
    a, b, unused = single.output.tolist()
    assert b / a == pytest.approx(3**0.5) and unused == 1
    assert (3 * a + b) / 4 == pytest.approx(1)  # the mean over clips
    several = loss_weights(table, MULTI, targets, 1.0)
    assert several is not None and several.output is not None
    a, b, unused = several.output.tolist()
    assert b / a == pytest.approx(3) and (a + b) / 2 == pytest.approx(1) and unused == 1
    assert several.of_batch(torch.tensor([0, 3])).shape == (2, 3)


@pytest.mark.parametrize("loss", ["crossentropy", "mse", "bce"])
def test_a_weight_of_one_changes_no_loss(loss: str) -> None:
    train = Train(loss=loss, label_smoothing=0.1)
    logits, y = torch.randn(6, 3), functional.one_hot(torch.arange(6) % 3, 3).float()
    weighted = loss_of(logits, y, train, torch.ones(6, 1))
    torch.testing.assert_close(weighted, loss_of(logits, y, train))
    double = loss_of(logits, y, train, torch.tensor([2.0, 0, 2, 0, 2, 0])[:, None])
    torch.testing.assert_close(double, loss_of(logits[::2], y[::2], train))


def test_a_masked_class_has_neither_loss_nor_gradient() -> None:
    logits = torch.randn(4, 3, requires_grad=True)
    weights = loss_weights(clips(masked=["b", "c", "", "a|b|c"]), MULTI)
    assert weights is not None and weights.known is not None
    loss_of(logits, torch.ones(4, 3), BCE, weights.of_batch(torch.arange(4))).backward()
    assert logits.grad is not None
    assert torch.equal(logits.grad != 0, weights.known)
    expected = functional.binary_cross_entropy_with_logits(
        logits[weights.known], torch.ones(int(weights.known.sum()))
    )
    found = loss_of(logits, torch.ones(4, 3), BCE, weights.of_batch(torch.arange(4)))
    torch.testing.assert_close(found, expected)  # the mean over the known pairs


def test_soft_targets_bring_their_masks_and_stand_apart_from_clips_of_the_same_name(tmp_path: Path) -> None:
    table = clips(split=["train"] * 4, row=[0, 1, 2, 3], part=["keyword"] * 4, masked=["b|c", "b", "", ""])
    soft = table[:2].with_columns(
        split=pl.Series(["train", "test"]), masked=pl.Series(["", "c"]), row=pl.lit(7)
    )
    targets = torch.tensor([[0.6, 0.3, 0.1], [1.0, 0.0, 0.0]]).numpy()
    frame = soft_table(soft, targets, torch.tensor([[False] * 3, [False, False, True]]).numpy(), MULTI)
    parquet.write(frame, table_path(tmp_path, 0))
    head = make_head(table, CLASSES, "targets", None, kind=LabelKind.MULTI)
    made = training_set(tmp_path, 0, table, head, MULTI)
    assert made.clips["split"].to_list() == ["train"] * 4 + ["test"] and made.clips["row"][4] == 7
    assert made.targets is not None and made.weights is not None and made.weights.known is not None
    torch.testing.assert_close(made.targets[[0, 1, 4]], torch.tensor([[0.6, 0.3, 0.1], [1, 1, 0], [1, 0, 0]]))
    assert made.weights.known[[0, 1, 4]].tolist() == [[True] * 3, [True, False, True], [True, True, False]]


def test_auxiliary_classes_are_learnt_from_labels_and_not_from_teachers(tmp_path: Path) -> None:
    task = replace(MULTI, auxiliary=("d", "e"))
    table = clips(
        **{"split": ["train"] * 4, "row": [0, 1, 2, 3], "part": ["keyword"] * 4},
        **{"word": ["a|d", "a|b", "c|x|e", "d"], "masked": ["b|e", "", "", ""]},
    )
    head = make_head(table, CLASSES, "targets", None, kind=LabelKind.MULTI, auxiliary=task.auxiliary)
    assert head.outputs == (*CLASSES, "d", "e") and head.direct
    assert head.collapse(torch.arange(10.0).view(2, 5)).tolist() == [[0, 1, 2], [5, 6, 7]]
    plain = training_set(None, 0, table, head, task)
    assert plain.targets is not None and plain.weights is not None and plain.weights.known is not None
    assert plain.targets[:, 3:].tolist() == [[1, 0], [0, 0], [0, 1], [1, 0]]
    assert plain.weights.known.tolist() == [[True, False, True, True, False], *[[True] * 5] * 3]

    soft = table[:2].with_columns(split=pl.Series(["train", "test"]), masked=pl.Series(["", "c"]))
    hidden = torch.tensor([[False] * 3, [False, False, True]]).numpy()
    frame = soft_table(soft, torch.tensor([[0.6, 0.3, 0.1], [1.0, 0.0, 0.0]]).numpy(), hidden, task)
    parquet.write(frame, table_path(tmp_path, 0))
    taught = training_set(tmp_path, 0, table, head, task)
    assert taught.weights is not None and taught.weights.known is not None
    assert taught.weights.known[[0, 4]].tolist() == [[True] * 3 + [False] * 2, [True, True] + [False] * 3]
    assert taught.weights.known[1:4].all()
