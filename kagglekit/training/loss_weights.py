"""Weights of the loss: of a clip, and of the classes of which its labels say nothing."""

from typing import NamedTuple

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from kagglekit.scoring.task import Task
from kagglekit.training.mixing import Mixing


class LossWeights(NamedTuple):
    """Weights of the loss of the clips that one fold trains on."""

    clip: Tensor
    """(clips,), >= 0, on such a scale that the mean over all pairs of a clip and a known output is 1."""
    known: Tensor | None = None
    """(clips, outputs), whether the clip has a loss for the output; None: it has one for all."""
    output: Tensor | None = None
    """(outputs,), > 0, weights of the outputs; None: all alike."""

    def of_batch(
        self,
        chosen: Tensor,
        mixing: Mixing | None = None,
        y: Tensor | None = None,
        known: Tensor | None = None,
    ) -> Tensor:
        """Return the weights of a batch, (batch, outputs), or (batch, 1) where outputs weigh alike.

        Args:
            chosen: (batch,), the clips.
            mixing: how they are mixed with others of the batch; their weights mix as their targets do.
            y: (batch, outputs), their targets before that, without which a union cannot be known.
            known: (batch, outputs), what is known of the clips where others were added to them.
        """
        weight = self.clip[chosen]
        if mixing is not None:
            weight = mixing.share * weight + (1 - mixing.share) * weight[mixing.other]
        pairs = weight[:, None]
        if self.known is not None:
            known = self.known[chosen] if known is None else known
            pairs = pairs * (known if mixing is None else mixing.known(known, y))
        return pairs if self.output is None else pairs * self.output


def hidden_classes(clips: pl.DataFrame, task: Task) -> NDArray[np.bool_]:
    """Return the pairs of a clip and a class of which the labels say nothing, (clips, learnt)."""
    return task.learnt_named(clips, "masked") & ~task.learnt_named(clips, "soft")


def loss_weights(
    clips: pl.DataFrame, task: Task, targets: Tensor | None = None, power: float = 0
) -> LossWeights | None:
    """Return the weights of training clips, or None where all weigh alike and every class is known.

    Args:
        clips: rows of the clips table. Clips without the columns weight and masked, such as pseudo-labelled
            ones, weigh 1, with every class known.
        targets: (clips, outputs), of which the classes' sizes are counted.
        power: a class weighs its size to the power of minus this; 0: all alike.
    """
    hidden = hidden_classes(clips, task) if task.multi else np.zeros(0, bool)
    mask = torch.from_numpy(~hidden) if hidden.any() else None
    output = class_weights(targets, mask, task, power) if power and targets is not None else None
    weight = torch.ones(len(clips))
    if "weight" in clips.columns:
        weight = torch.from_numpy(clips["weight"].fill_null(1.0).to_numpy().astype("float32"))
    if mask is None and output is None and (weight == weight[:1]).all():
        return None  # one weight for all is none
    pairs = weight if mask is None else weight[:, None] * mask
    return LossWeights(weight / pairs.mean().clamp(min=torch.finfo().tiny), mask, output)


def class_weights(targets: Tensor, known: Tensor | None, task: Task, power: float) -> Tensor:
    """Return the weights of outputs, (outputs,), with a mean of 1 over what has a loss.

    With one class per clip that is a mean over clips, else over pairs of a clip and an output. An output
    without a clip, such as that of words which augmentation makes, weighs 1.
    """
    sizes = (targets if known is None else targets * known).sum(0)
    weights = torch.where(sizes > 0, sizes.clamp(min=torch.finfo().tiny) ** -power, 0)
    if not task.multi:
        shares = sizes
    else:
        shares = (sizes > 0).float() if known is None else (sizes > 0) * known.float().sum(0)
    mean = (weights * shares).sum() / shares.sum().clamp(min=torch.finfo().tiny)
    return torch.where(sizes > 0, weights / mean.clamp(min=torch.finfo().tiny), 1)
