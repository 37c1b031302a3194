"""Bidirectional GRU with attention pooling; lstm.py has the same network with another cell.

Paper: Cho and others 2014, https://arxiv.org/abs/1406.1078. Reference code: torch.nn.GRU.
Frame stacking: Sak, Senior, Rao, Beaufays 2015, https://arxiv.org/abs/1507.06947: joining frames to steps
shortens the sequence, on whose length a recurrent network's time depends.
Attention pooling: Raffel, Ellis 2015, https://arxiv.org/abs/1512.08756.
"""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from kagglekit.config.base import Count, Section
from kagglekit.models import Suggester
from kagglekit.models.layers import attend, attention_score

DEFAULTS: dict[str, Any] = {"lr": 4e-3, "epochs": 36}  # OOF 0.71, against 0.67 with 2e-3, after 6 epochs


class Config(Section):
    """Settings of a recurrent network."""

    n_mels: Count = 40
    """Mel bands of the input."""
    stack: Annotated[int, Field(ge=1, le=8)] = 4
    """Frames joined to a step."""
    convolution: Annotated[int, Field(ge=0, le=1024)] = 0
    """Channels of a convolution before the layers, over `stack` frames on either side of a step; 0: none."""
    hidden: Annotated[int, Field(ge=8, le=1024)] = 128
    """Units of a layer in each direction."""
    layers: Annotated[int, Field(ge=1, le=6)] = 2
    """Number of stacked recurrent layers."""
    bidirectional: bool = True
    """Run the layers backwards in time, too."""
    pooling: Literal["attention", "mean", "last"] = "attention"
    """The classifier's input: the weighted or unweighted mean over steps, or each direction's last step."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """Dropout between the layers and before the classifier."""


class RecurrentClassifier(nn.Module):
    """Layers of `cell` (nn.LSTM or nn.GRU), pooling over their steps, and a classifier."""

    def __init__(self, cell: Callable[..., nn.LSTM | nn.GRU], config: Config, num_classes: int) -> None:
        super().__init__()
        self.config = config
        c = config
        self.normalise = nn.BatchNorm1d(c.n_mels)
        if c.convolution:
            self.front = nn.Sequential(
                nn.Conv1d(
                    c.n_mels, c.convolution, 2 * c.stack + 1, stride=c.stack, padding=c.stack, bias=False
                ),
                nn.BatchNorm1d(c.convolution),
                nn.ReLU(),
            )
        self.recurrent = cell(
            c.convolution or c.n_mels * c.stack,
            c.hidden,
            c.layers,
            batch_first=True,
            bidirectional=c.bidirectional,
            dropout=c.dropout if c.layers > 1 else 0.0,  # torch warns of dropout with a single layer
        )
        width = (1 + c.bidirectional) * (self.recurrent.proj_size or c.hidden)
        if c.pooling == "attention":
            self.score = attention_score(width, c.hidden)
        self.head = nn.Sequential(nn.Dropout(c.dropout), nn.Linear(width, num_classes))

    def forward(self, log_mel: Tensor) -> Tensor:
        """Log-mels (batch, n_mels, frames) to logits (batch, num_classes)."""
        x, _ = self.recurrent(self._steps(self.normalise(log_mel)))  # (batch, steps, width)
        logits: Tensor = self.head(self._pooled(x))
        return logits

    def _steps(self, x: Tensor) -> Tensor:
        """(batch, n_mels, frames) to (batch, steps, channels), by stacking or convolution."""
        if self.config.convolution:
            convolved: Tensor = self.front(x)
            return convolved.transpose(1, 2)
        stack = self.config.stack
        whole = x[..., : x.shape[2] // stack * stack]  # frames that fill no step are left out
        # reshape: (batch, n_mels, steps, stack); unfold, which does both, cannot be exported
        return whole.reshape(*x.shape[:2], -1, stack).transpose(1, 2).flatten(2)

    def _pooled(self, x: Tensor) -> Tensor:
        """(batch, steps, width) to (batch, width)."""
        if self.config.pooling == "attention":
            return attend(x, self.score(x))
        if self.config.pooling == "mean":
            return x.mean(dim=1)
        directions = x.reshape(*x.shape[:2], 1 + self.config.bidirectional, -1)
        return torch.cat([directions[:, -1, :1], directions[:, 0, 1:]], dim=1).flatten(1)


build = partial(RecurrentClassifier, nn.GRU)


def search_space(trial: Suggester) -> dict[str, Any]:
    return {
        "stack": trial.suggest_int("stack", 2, 5),
        "hidden": trial.suggest_categorical("hidden", [96, 128, 192]),
        "layers": trial.suggest_int("layers", 1, 3),
        "dropout": trial.suggest_float("dropout", 0.05, 0.5),
    }
