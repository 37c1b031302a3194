"""What lstm and gru share: a recurrent network over stacked frames, pooled by attention.

Frame stacking: Sak, Senior, Rao, Beaufays 2015, https://arxiv.org/abs/1507.06947: several frames joined
to one step make the sequence shorter, which is what a recurrent network's time goes into.
Attention pooling: Raffel, Ellis 2015, https://arxiv.org/abs/1512.08756.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from kagglekit.config import Count, Section

if TYPE_CHECKING:
    from optuna import Trial

DEFAULTS: dict[str, Any] = {"lr": 4e-3, "epochs": 22}  # 0.71 against 0.67 with 2e-3 after 6 epochs


class Config(Section):
    """Settings of a recurrent network."""

    n_mels: Count = 40
    """Mel bands of the input."""
    stack: Annotated[int, Field(ge=1, le=8)] = 4
    """Frames joined to one step."""
    hidden: Annotated[int, Field(ge=8, le=1024)] = 128
    """Units of a layer, in each direction."""
    layers: Annotated[int, Field(ge=1, le=6)] = 2
    """Bidirectional layers."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """Between the layers and before the classes."""


class RecurrentClassifier(nn.Module):
    """Bidirectional `cell` layers (nn.LSTM or nn.GRU), attention over their steps, classes."""

    def __init__(self, cell: type[nn.LSTM | nn.GRU], config: Config, num_classes: int) -> None:
        super().__init__()
        self.config = config
        self.normalise = nn.BatchNorm1d(config.n_mels)
        self.recurrent = cell(
            config.n_mels * config.stack,
            config.hidden,
            config.layers,
            batch_first=True,
            bidirectional=True,
            dropout=config.dropout if config.layers > 1 else 0.0,  # torch warns of dropout between one layer
        )
        # No last bias: softmax takes away what all steps have in common.
        self.score = nn.Sequential(
            nn.Linear(2 * config.hidden, config.hidden), nn.Tanh(), nn.Linear(config.hidden, 1, bias=False)
        )
        self.head = nn.Sequential(nn.Dropout(config.dropout), nn.Linear(2 * config.hidden, num_classes))

    def forward(self, log_mel: Tensor) -> Tensor:
        """Classify spectrograms.

        Args:
            log_mel: (batch, n_mels, frames), natural logarithm of the mel power.

        Returns:
            Logits (batch, num_classes).
        """
        stack = self.config.stack
        x = self.normalise(log_mel).unfold(2, stack, stack)  # (batch, n_mels, steps, stack)
        x = x.transpose(1, 2).flatten(2)  # (batch, steps, n_mels * stack)
        x, _ = self.recurrent(x)  # (batch, steps, 2 * hidden)
        attention = torch.softmax(self.score(x), dim=1)  # (batch, steps, 1)
        logits: Tensor = self.head((attention * x).sum(dim=1))
        return logits


def search_space(trial: Trial) -> dict[str, Any]:
    """Width, depth, resolution in time and dropout."""
    return {
        "stack": trial.suggest_int("stack", 2, 5),
        "hidden": trial.suggest_categorical("hidden", [96, 128, 192]),
        "layers": trial.suggest_int("layers", 1, 3),
        "dropout": trial.suggest_float("dropout", 0.05, 0.5),
    }
