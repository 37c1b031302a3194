"""Each loss against its formula, written out, and what weights and masks leave of it."""

from __future__ import annotations

import math

import pytest
import torch

from kagglekit.config import Train
from kagglekit.training.losses import LOSSES, loss_of

LOGITS = torch.tensor([[1.0, 2.0, 0.5], [0.0, -1.0, 3.0]])
SINGLE = torch.tensor([[0.0, 1.0, 0.0], [0.3, 0.0, 0.7]])
SEVERAL = torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.4, 0.0]])
WEIGHT = torch.tensor([[1.0, 2.0, 0.0], [0.5, 0.5, 3.0]])


def train(loss: str, smoothing: float = 0.1, gamma: float = 2.0) -> Train:
    return Train.model_validate({"loss": loss, "label_smoothing": smoothing, "focal_gamma": gamma})


def softmax(row: list[float]) -> list[float]:
    return [math.exp(v) / sum(math.exp(w) for w in row) for v in row]


def by_hand(loss: str, weight: list[list[float]], smoothing: float = 0.1, gamma: float = 2.0) -> float:
    """The mean loss by loops over numbers."""
    total, count = 0.0, 0
    y = SINGLE if loss in ("crossentropy", "mse") else SEVERAL
    for z, targets, w in zip(LOGITS.tolist(), y.tolist(), weight, strict=True):
        if loss == "crossentropy":
            smooth = [(1 - smoothing) * t + smoothing / 3 for t in targets]
            clip = sum(t * v for t, v in zip(targets, w, strict=True))
            total -= clip * sum(t * math.log(p) for t, p in zip(smooth, softmax(z), strict=True))
            count += 1
        elif loss == "softmax":
            known = [i for i in range(3) if w[i] > 0]
            probs = softmax([z[i] for i in known])
            share = [targets[i] / sum(targets[j] for j in known) for i in known]
            smooth = [(1 - smoothing) * s + smoothing / len(known) for s in share]
            clip = sum(s * w[i] for s, i in zip(share, known, strict=True))
            total -= clip * sum(s * math.log(p) for s, p in zip(smooth, probs, strict=True))
            count += 1
        else:
            for value, t, v, p in zip(z, targets, w, softmax(z), strict=True):
                count += 1
                if loss == "mse":
                    total += v * (p - t) ** 2
                    continue
                q, s = 1 / (1 + math.exp(-value)), t + smoothing * (0.5 - t)
                each = -s * math.log(q) - (1 - s) * math.log(1 - q)
                total += v * each * (abs(s - q) ** gamma if loss == "focal" else 1)
    return total / count


@pytest.mark.parametrize("loss", LOSSES)
def test_a_loss_is_its_formula(loss: str) -> None:
    y = SINGLE if loss in ("crossentropy", "mse") else SEVERAL
    ones = [[1.0] * 3] * 2
    assert loss_of(LOGITS, y, train(loss)).item() == pytest.approx(by_hand(loss, ones), rel=1e-5)
    assert loss_of(LOGITS, y, train(loss), torch.ones(2, 1)).item() == pytest.approx(
        by_hand(loss, ones), rel=1e-5
    )
    weighted = loss_of(LOGITS, y, train(loss), WEIGHT).item()
    assert weighted == pytest.approx(by_hand(loss, WEIGHT.tolist()), rel=1e-5)


def test_focal_of_hard_labels_is_that_of_the_paper_and_gamma_0_is_bce() -> None:
    y = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
    right = torch.where(y == 1, LOGITS.sigmoid(), 1 - LOGITS.sigmoid())
    paper = (-((1 - right) ** 1.5) * right.log()).mean()
    torch.testing.assert_close(loss_of(LOGITS, y, train("focal", 0, 1.5)), paper)
    torch.testing.assert_close(
        loss_of(LOGITS, y, train("focal", 0.2, 0)), loss_of(LOGITS, y, train("bce", 0.2))
    )


@pytest.mark.parametrize("loss", ["bce", "focal", "softmax"])
def test_a_masked_class_has_no_gradient(loss: str) -> None:
    logits = LOGITS.clone().requires_grad_()
    known = torch.tensor([[True, True, False], [False, False, False]])
    loss_of(logits, SEVERAL, train(loss), known.float()).backward()
    assert logits.grad is not None and torch.equal(logits.grad != 0, known)
    changed = torch.where(known, LOGITS, 50.0)
    torch.testing.assert_close(
        loss_of(changed, SEVERAL, train(loss), known.float()),
        loss_of(logits, SEVERAL, train(loss), known.float()),
    )


def test_softmax_leaves_a_clip_without_a_class_alone() -> None:
    logits = LOGITS.clone().requires_grad_()
    loss_of(logits, torch.zeros(2, 3), train("softmax")).backward()
    assert logits.grad is not None and not logits.grad.any()


@pytest.mark.parametrize("gamma", [0.0, 0.5, 5.0])
def test_focal_stays_finite_where_it_is_certain(gamma: float) -> None:
    logits = torch.tensor([[200.0, -200.0, 200.0]], requires_grad=True)
    loss_of(logits, torch.tensor([[1.0, 0.0, 0.0]]), train("focal", 0, gamma)).backward()
    assert logits.grad is not None and logits.grad.isfinite().all()
