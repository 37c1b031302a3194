"""TC-ResNet: temporal convolutions with mel bands as channels.

Paper: Choi, Seo, Shin, Byun, Kersner, Kim, Kim, Ha 2019, https://arxiv.org/abs/1904.03814.
Reference code: hyperconnect/TC-ResNet, audio_nets/tc_resnet.py.
What we changed: log-mel instead of MFCC input, normalised by a batch norm. As in the reference
code, convolutions over time are two-dimensional with height 1; with channels last in memory, they train about
1.4 times as fast on a CPU as one-dimensional ones.
"""

from itertools import pairwise, starmap
from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from kagglekit.config.base import Count, Section
from kagglekit.models import Suggester
from kagglekit.models.layers import conv_norm

DEFAULTS: dict[str, Any] = {"epochs": 64}  # small and fast: it gains from twice the others' epochs
CHANNELS = {8: (16, 24, 32, 48), 14: (16, 24, 24, 32, 32, 48, 48)}
"""Channels of the first convolution and of each block, by depth."""


class Config(Section):
    """Settings of TC-ResNet."""

    n_mels: Count = 40
    """Mel bands of the input."""
    depth: Literal[8, 14] = 14
    """Layers: TC-ResNet8 or TC-ResNet14."""
    width: Annotated[float, Field(ge=0.5, le=8)] = 1.0
    """Factor on all channels; the paper's are 1 and 1.5."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Dropout before the classifier."""


class TemporalBlock(nn.Module):
    """Two convolutions over nine frames and a shortcut; a change of width halves the frames."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        stride = 1 if inputs == outputs else 2
        self.first = nn.Sequential(*conv_norm(inputs, outputs, (1, 9), (1, stride)))
        self.second = nn.Sequential(*conv_norm(outputs, outputs, (1, 9)))
        self.shortcut = nn.Sequential()
        if inputs != outputs:
            pointwise = nn.Sequential(*conv_norm(inputs, outputs, stride=(1, stride)))
            self.shortcut.extend([pointwise, nn.ReLU()])

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, 1, frames) to (batch, outputs, 1, frames or frames / 2)."""
        return F.relu(self.second(F.relu(self.first(x))) + self.shortcut(x))


class TCResNet(nn.Module):
    """A convolution, blocks, mean over time, and a classifier."""

    def __init__(self, config: Config, num_classes: int) -> None:
        super().__init__()
        self.config = config
        channels = [int(c * config.width) for c in CHANNELS[config.depth]]
        self.normalise = nn.BatchNorm2d(config.n_mels)
        self.first = nn.Sequential(*conv_norm(config.n_mels, channels[0], (1, 3)))
        self.blocks = nn.Sequential(*starmap(TemporalBlock, pairwise(channels)))
        self.head = nn.Sequential(nn.Dropout(config.dropout), nn.Linear(channels[-1], num_classes))

    def forward(self, log_mel: Tensor) -> Tensor:
        """Log-mels (batch, n_mels, frames) to logits (batch, num_classes)."""
        image = log_mel.unsqueeze(2).contiguous(memory_format=torch.channels_last)
        x = F.relu(self.first(self.normalise(image)))
        logits: Tensor = self.head(self.blocks(x).mean(dim=(2, 3)))
        return logits


build = TCResNet


def search_space(trial: Suggester) -> dict[str, Any]:
    return {
        "depth": trial.suggest_categorical("depth", [8, 14]),
        "width": trial.suggest_categorical("width", [1.0, 1.5, 2.0, 3.0]),
        "dropout": trial.suggest_float("dropout", 0.1, 0.6),
    }
