"""ResNet: the spectrogram as an image, as in most entries of 2017.

Paper: He, Zhang, Ren, Sun 2015, https://arxiv.org/abs/1512.03385, section 4.2 (the networks of 6n + 2
layers for CIFAR-10); wider networks: Zagoruyko, Komodakis 2016, https://arxiv.org/abs/1605.07146.
Reference code: none by the authors in torch; tugstugi/pytorch-speech-commands (10th place of 2017) trained
such networks on log-mel images of 32 x 32.
What we changed: one channel, normalised by a batch norm for each mel band. The first convolution has stride
2, which turns 40 x 101 values into about as many as CIFAR's 32 x 32.
"""

from typing import Annotated, Any, Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from kagglekit.config.base import Section
from kagglekit.models import Suggester
from kagglekit.models.layers import as_image, conv_norm

DEFAULTS: dict[str, Any] = {"epochs": 40}
CHANNELS = (16, 32, 64)
"""Channels of the three stages; each but the first halves bands and frames."""


class Config(Section):
    """Settings of ResNet."""

    n_mels: Annotated[int, Field(ge=8)] = 40
    """Mel bands of the input."""
    depth: Literal[8, 14, 20, 32, 44, 56] = 20
    """Layers; the paper's are 20 and more."""
    width: Annotated[float, Field(ge=0.5, le=10)] = 1.0
    """Factor on all channels."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3
    """Dropout before the classifier."""


class ResidualBlock(nn.Module):
    """Two convolutions and a shortcut without weights (the paper's option A)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.added_channels = outputs - inputs
        self.body = nn.Sequential(
            *conv_norm(inputs, outputs, (3, 3), stride), nn.ReLU(), *conv_norm(outputs, outputs, (3, 3))
        )

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, mels, frames) to (batch, outputs, mels / stride, frames / stride)."""
        strided = x[:, :, :: self.stride, :: self.stride]
        return F.relu(self.body(x) + F.pad(strided, (0, 0, 0, 0, 0, self.added_channels)))


class ResNet(nn.Module):
    """A convolution, three stages of blocks, mean over bands and time, and a classifier."""

    def __init__(self, config: Config, num_classes: int) -> None:
        super().__init__()
        self.config = config
        channels = [int(c * config.width) for c in CHANNELS]
        self.normalise = nn.BatchNorm1d(config.n_mels)
        layers: list[nn.Module] = [*conv_norm(1, channels[0], (3, 3), stride=2), nn.ReLU()]
        inputs = channels[0]
        for outputs in channels:
            for _ in range((config.depth - 2) // 6):
                layers.append(ResidualBlock(inputs, outputs, stride=1 if inputs == outputs else 2))
                inputs = outputs
        self.body = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.Dropout(config.dropout), nn.Linear(inputs, num_classes))

    def forward(self, log_mel: Tensor) -> Tensor:
        """Log-mels (batch, n_mels, frames) to logits (batch, num_classes)."""
        x = self.body(as_image(self.normalise(log_mel)))  # (batch, channels, n_mels / 8, frames / 8)
        logits: Tensor = self.head(x.mean(dim=(2, 3)))
        return logits


build = ResNet


def search_space(trial: Suggester) -> dict[str, Any]:
    return {
        "depth": trial.suggest_categorical("depth", [8, 14, 20]),
        "width": trial.suggest_categorical("width", [1.0, 1.5, 2.0]),
        "dropout": trial.suggest_float("dropout", 0.1, 0.6),
    }
