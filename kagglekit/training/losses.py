"""Losses by name, and their weighted mean over a batch."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from kagglekit.config import Train


def loss_of(logits: Tensor, y: Tensor, train: Train, weight: Tensor | None = None) -> Tensor:
    """Return the mean loss between logits (batch, outputs) and soft targets y (batch, outputs).

    Args:
        weight: (batch, outputs) or (batch, 1), >= 0, which multiplies the loss of each output; where outputs
            have no losses of their own (crossentropy, softmax), a clip's is its targets' mean. An output of
            weight 0 has no gradient. None: all weigh 1.
    """
    return LOSSES[train.loss](logits, y, train, weight).mean()


def _crossentropy(logits: Tensor, y: Tensor, train: Train, weight: Tensor | None) -> Tensor:
    smoothing = train.label_smoothing
    each = functional.cross_entropy(logits, y, reduction="none", label_smoothing=smoothing)
    return each if weight is None else each * (y * weight).sum(1)


def _mse(logits: Tensor, y: Tensor, train: Train, weight: Tensor | None) -> Tensor:
    """Between probabilities and one-hot labels, as the report had it."""
    return _weighted(functional.mse_loss(logits.softmax(1), y, reduction="none"), weight)


def _bce(logits: Tensor, y: Tensor, train: Train, weight: Tensor | None) -> Tensor:
    smooth = y + train.label_smoothing * (0.5 - y)
    each = functional.binary_cross_entropy_with_logits(logits, smooth, reduction="none")
    return _weighted(each, weight)


def _focal(logits: Tensor, y: Tensor, train: Train, weight: Tensor | None) -> Tensor:
    """Focal loss (arXiv:1708.02002), for soft targets as in arXiv:2006.04388: |y - p| ** gamma of bce."""
    smooth = y + train.label_smoothing * (0.5 - y)
    each = functional.binary_cross_entropy_with_logits(logits, smooth, reduction="none")
    # without the floor, the gradient of a power below 1 is infinite at 0
    error = (smooth - logits.sigmoid()).abs().clamp(min=torch.finfo(logits.dtype).eps)
    return _weighted(each * error**train.focal_gamma, weight)


def _softmax(logits: Tensor, y: Tensor, train: Train, weight: Tensor | None) -> Tensor:
    """Cross-entropy of clips with several classes, over the known ones; a clip without a class has none."""
    known = torch.ones_like(y, dtype=torch.bool) if weight is None else (weight > 0).expand_as(y)
    target = y * known
    share = target / target.sum(1, keepdim=True).clamp(min=torch.finfo(y.dtype).tiny)
    even = known / known.sum(1, keepdim=True).clamp(min=1)
    smooth = share + train.label_smoothing * (even - share)
    # a large number, as the logarithm of minus infinity's share has no gradient where all are unknown
    log_probs = logits.masked_fill(~known, torch.finfo(logits.dtype).min / 2).log_softmax(1)
    each = -(smooth * log_probs.masked_fill(~known, 0)).sum(1)
    return each * (share if weight is None else share * weight).sum(1)


def _weighted(each: Tensor, weight: Tensor | None) -> Tensor:
    return each if weight is None else each * weight


Loss = Callable[[Tensor, Tensor, Train, Tensor | None], Tensor]
"""From logits, targets, settings and weights to losses to average."""

LOSSES: dict[str, Loss] = {
    "crossentropy": _crossentropy,
    "mse": _mse,
    "bce": _bce,
    "focal": _focal,
    "softmax": _softmax,
}
