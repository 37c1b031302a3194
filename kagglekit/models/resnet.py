"""ResNet: the spectrogram as an image, as in most entries of 2017.

Paper: He, Zhang, Ren, Sun 2015, https://arxiv.org/abs/1512.03385, section 4.2 (the networks of 6n + 2
layers for CIFAR-10); wider networks: Zagoruyko, Komodakis 2016, https://arxiv.org/abs/1605.07146.
Reference code: none by the authors in torch; tugstugi/pytorch-speech-commands (10th place of 2017) trained
such networks on log-mel images of 32 x 32.
What we changed: one channel, normalised by a batch norm for each mel band. The first convolution has stride
2, which turns 40 x 101 values into about as many as CIFAR's 32 x 32. Depths 10 and 18 have the four stages of
the paper's networks for ImageNet (section 4.1), behind max pooling, for larger images such as five seconds:
18 layers at width 4 are its ResNet-18, with shortcuts without weights.
"""

from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from kagglekit.config.base import Section
from kagglekit.models import Suggester
from kagglekit.models.layers import as_image, conv_norm

DEFAULTS: dict[str, Any] = {"epochs": 40}
CHANNELS = (16, 32, 64, 128)
"""Channels of the stages, of which depths 10 and 18 have four, others three; each but the first halves bands
and frames."""
FOUR_STAGES = (10, 18)


class Config(Section):
    """Settings of ResNet."""

    n_mels: Annotated[int, Field(ge=8)] = 40
    """Mel bands of the input."""
    depth: Literal[8, 10, 14, 18, 20, 32, 44, 56] = 20
    """Layers; the paper's are 18, 20 and more. 10 and 18 have four stages behind max pooling."""
    width: Annotated[float, Field(ge=0.5, le=10)] = 1.0
    """Factor on all channels, of which the first stage has 16."""
    pool: Literal["mean", "mean_max"] = Field(default="mean", exclude_if=lambda pool: pool == "mean")
    """Pooling over time, after a mean over the bands: mean, or mean and maximum side by side."""
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
    """A convolution, three or four stages of blocks, pooling over bands and time, and a classifier."""

    def __init__(self, config: Config, num_classes: int) -> None:
        super().__init__()
        self.config = config
        stages = 4 if config.depth in FOUR_STAGES else 3
        channels = [int(c * config.width) for c in CHANNELS[:stages]]
        self.normalise = nn.BatchNorm1d(config.n_mels)
        layers: list[nn.Module] = [*conv_norm(1, channels[0], (3, 3), stride=2), nn.ReLU()]
        if stages == 4:
            layers = [*conv_norm(1, channels[0], (7, 7), stride=2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
        inputs = channels[0]
        for outputs in channels:
            for _ in range((config.depth - 2) // (2 * stages)):
                layers.append(ResidualBlock(inputs, outputs, stride=1 if inputs == outputs else 2))
                inputs = outputs
        self.body = nn.Sequential(*layers)
        pooled = inputs if config.pool == "mean" else 2 * inputs
        self.head = nn.Sequential(nn.Dropout(config.dropout), nn.Linear(pooled, num_classes))

    def forward(self, log_mel: Tensor) -> Tensor:
        """Log-mels (batch, n_mels, frames) to logits (batch, num_classes)."""
        # (batch, channels, n_mels / 8, frames / 8), or / 32 with four stages
        x = self.body(as_image(self.normalise(log_mel)))
        if self.config.pool == "mean":
            pooled = x.mean(dim=(2, 3))
        else:
            over_time = x.mean(dim=2)
            pooled = torch.cat([over_time.mean(dim=2), over_time.amax(dim=2)], dim=1)
        logits: Tensor = self.head(pooled)
        return logits


build = ResNet


def search_space(trial: Suggester) -> dict[str, Any]:
    return {
        "depth": trial.suggest_categorical("depth", [8, 14, 20]),
        "width": trial.suggest_categorical("width", [1.0, 1.5, 2.0]),
        "dropout": trial.suggest_float("dropout", 0.1, 0.6),
    }
