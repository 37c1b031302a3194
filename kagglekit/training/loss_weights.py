"""Weights of the loss: of a clip, and of the classes of which its labels say nothing."""

from typing import NamedTuple

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from kagglekit.scoring.task import Task


class LossWeights(NamedTuple):
    """Weights of the loss of the clips that one fold trains on."""

    clip: Tensor
    """(clips,), >= 0, on such a scale that the mean over all pairs of a clip and a known output is 1."""
    known: Tensor | None = None
    """(clips, outputs), whether the clip has a loss for the output; None: it has one for all."""

    def of_batch(self, chosen: Tensor, other: Tensor | None = None, lam: Tensor | None = None) -> Tensor:
        """Return the weights of a batch, (batch, outputs), or (batch, 1) where every output is known.

        Args:
            chosen: (batch,), the clips.
            other: (batch,), with mixup the clips that they are mixed with. An output that is unknown of
                either has no loss.
            lam: (batch,), the shares of `chosen`; the weights of the clips are mixed as their targets are.
        """
        weight = self.clip[chosen]
        if other is not None and lam is not None:
            weight = lam * weight + (1 - lam) * self.clip[other]
        if self.known is None:
            return weight[:, None]
        known = self.known[chosen]
        return weight[:, None] * (known if other is None else known & self.known[other])


def hidden_classes(clips: pl.DataFrame, task: Task) -> NDArray[np.bool_]:
    """Return the pairs of a clip and a class of which the labels say nothing, (clips, learnt)."""
    return task.learnt_named(clips, "masked") & ~task.learnt_named(clips, "soft")


def loss_weights(clips: pl.DataFrame, task: Task) -> LossWeights | None:
    """Return the weights of training clips, or None where all weigh alike and every class is known.

    Args:
        clips: rows of the clips table. Clips without the columns weight and masked, such as pseudo-labelled
            ones, weigh 1, with every class known.
    """
    hidden = hidden_classes(clips, task) if task.multi else np.zeros(0, bool)
    mask = torch.from_numpy(~hidden) if hidden.any() else None
    if "weight" not in clips.columns:
        return None if mask is None else LossWeights(torch.ones(len(clips)) / mask.float().mean(), mask)
    weight = torch.from_numpy(clips["weight"].fill_null(1.0).to_numpy().astype("float32"))
    if mask is None and (weight == weight[:1]).all():
        return None  # one weight for all is none
    pairs = weight if mask is None else weight[:, None] * mask
    return LossWeights(weight / pairs.mean().clamp(min=torch.finfo().tiny), mask)
