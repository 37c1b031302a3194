"""Layers that several architectures share."""

import torch
from torch import Tensor, nn

from kagglekit.errors import ConfigError


def conv_norm(
    inputs: int, outputs: int, kernel: tuple[int, int] = (1, 1), stride: int | tuple[int, int] = 1
) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    """Make a convolution, padded to keep the size where stride is 1, and a batch norm, which has the bias."""
    padding = (kernel[0] // 2, kernel[1] // 2)
    return nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False), nn.BatchNorm2d(outputs)


def as_image(x: Tensor) -> Tensor:
    """(batch, height, width) to (batch, 1, height, width).

    The one channel comes last in memory, for torch's fastest convolutions on a CPU.
    """
    return x.unsqueeze(3).movedim(3, 1)


def check_frames(log_mel: Tensor, max_frames: int, model: str) -> None:
    """Raise ConfigError if log_mel (batch, n_mels, frames) is longer than the positions that `model` has."""
    frames = log_mel.shape[-1]
    if frames > max_frames:
        raise ConfigError(
            f"a clip of {frames} frames is longer than max_frames={max_frames}",
            hint=f"set models.{model}.model.max_frames to {frames} and train again",
        )


def attention_score(width: int, hidden: int) -> nn.Sequential:
    """Make the layers from steps (batch, steps, width) to attention scores (batch, steps, 1)."""
    # without a last bias, which the softmax over the steps would cancel
    return nn.Sequential(nn.Linear(width, hidden), nn.Tanh(), nn.Linear(hidden, 1, bias=False))


def attend(x: Tensor, score: Tensor) -> Tensor:
    """Average x (batch, steps, width) over the steps, weighted by the softmax of score (batch, steps, 1)."""
    return (torch.softmax(score, dim=1) * x).sum(dim=1)
