"""MatchboxNet BxRxC: B residual blocks of R time-channel separable convolutions with C channels.

Paper: Majumdar, Ginsburg 2020, https://arxiv.org/abs/2004.08531.
Reference code: NVIDIA/NeMo, examples/asr/conf/matchboxnet and asr/parts/submodules/jasper.py.
What we changed: log-mel instead of 64 MFCC, normalised by a batch norm. For speed on a CPU, convolutions are
two-dimensional with width 1, and channels are last in memory.
"""

from typing import Annotated, Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from kagglekit.config.base import Count, Section
from kagglekit.models import Suggester
from kagglekit.models.layers import conv_norm

DEFAULTS: dict[str, Any] = {"lr": 4e-3, "epochs": 64}
OUTER = 128
"""Channels of the convolutions before and after the blocks."""


class Config(Section):
    """Settings of MatchboxNet; the paper's are 3x1x64, 3x2x64 and wider ones."""

    n_mels: Count = 40
    """Mel bands of the input."""
    blocks: Annotated[int, Field(ge=1, le=8)] = 3
    """Number of residual blocks; the first has a kernel of 13 frames, each further one two more."""
    repeats: Annotated[int, Field(ge=1, le=4)] = 1
    """Separable convolutions in a block."""
    channels: Annotated[int, Field(ge=8, le=512)] = 64
    """Channels of every block."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Dropout after every activation."""


class TemporalConvolution(nn.Conv2d):
    """Depthwise convolution over time; input (batch, channels, frames, 1)."""

    def __init__(self, channels: int, kernel: int, dilation: int) -> None:
        super().__init__(
            channels, channels, (kernel, 1), padding=(kernel // 2, 0), groups=channels, bias=False
        )
        self.every = dilation

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, frames, 1) to the same."""
        frames = x.shape[2]
        # Frames that a dilated kernel combines move into one of `every` columns: the result equals that of
        # dilation=, whose depthwise convolution takes 13 times as long on a CPU.
        columns = F.pad(x, (0, 0, 0, -frames % self.every)).reshape(*x.shape[:2], -1, self.every)
        return super().forward(columns).flatten(2)[:, :, :frames].unsqueeze(3)


class MatchboxBlock(nn.Module):
    """Separable convolutions, and a shortcut with a pointwise convolution."""

    def __init__(self, inputs: int, kernel: int, config: Config) -> None:
        super().__init__()
        outputs = config.channels
        layers: list[nn.Module] = [_separable(inputs, outputs, kernel)]
        for _ in range(config.repeats - 1):
            layers += [nn.ReLU(), nn.Dropout(config.dropout), _separable(outputs, outputs, kernel)]
        self.body = nn.Sequential(*layers)
        self.shortcut = nn.Sequential(*conv_norm(inputs, outputs))
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, frames, 1) to (batch, outputs, frames, 1)."""
        out: Tensor = self.dropout(F.relu(self.body(x) + self.shortcut(x)))
        return out


class MatchboxNet(nn.Module):
    """A convolution, blocks, two convolutions, mean over time, and a classifier."""

    def __init__(self, config: Config, num_classes: int) -> None:
        super().__init__()
        self.config = config
        c = config
        self.normalise = nn.BatchNorm2d(c.n_mels)
        inputs = [OUTER, *[c.channels] * (c.blocks - 1)]
        self.body = nn.Sequential(
            *(_separable(c.n_mels, OUTER, 11), nn.ReLU(), nn.Dropout(c.dropout)),
            *(MatchboxBlock(channels, 13 + 2 * number, c) for number, channels in enumerate(inputs)),
            *(_separable(c.channels, OUTER, 29, dilation=2), nn.ReLU(), nn.Dropout(c.dropout)),
            *(nn.Sequential(*conv_norm(OUTER, OUTER)), nn.ReLU(), nn.Dropout(c.dropout)),
        )
        self.head = nn.Linear(OUTER, num_classes)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # not in torch's stub

    def forward(self, log_mel: Tensor) -> Tensor:
        """Log-mels (batch, n_mels, frames) to logits (batch, num_classes)."""
        image = log_mel.unsqueeze(3).contiguous(memory_format=torch.channels_last)
        x = self.body(self.normalise(image))  # (batch, channels, frames, 1)
        logits: Tensor = self.head(x.mean(dim=(2, 3)))
        return logits


def _separable(inputs: int, outputs: int, kernel: int, *, dilation: int = 1) -> nn.Sequential:
    """Convolve each channel over time, then combine the channels of each frame."""
    return nn.Sequential(TemporalConvolution(inputs, kernel, dilation), *conv_norm(inputs, outputs))


build = MatchboxNet


def search_space(trial: Suggester) -> dict[str, Any]:
    return {
        "blocks": trial.suggest_int("blocks", 3, 5),
        "repeats": trial.suggest_int("repeats", 1, 2),
        "channels": trial.suggest_categorical("channels", [64, 96, 128]),
        "dropout": trial.suggest_float("dropout", 0.0, 0.3),
    }
