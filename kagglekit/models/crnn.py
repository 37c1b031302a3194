"""CRNN: convolutions over the spectrogram, a bidirectional GRU over their steps, attention pooling.

Papers: Arik and others 2017, https://arxiv.org/abs/1703.05390 (CRNN for keywords); Rybakov and others 2020,
https://arxiv.org/abs/2005.06720 (with attention); Raffel, Ellis 2015, https://arxiv.org/abs/1512.08756 (the
attention). Reference code: google-research/google-research, kws_streaming/models/crnn.py and att_rnn.py.
What we changed: two small convolutions of stride 2, with batch norm, in place of one large one without.
"""

from typing import Annotated, Any

from pydantic import Field
from torch import Tensor, nn

from kagglekit.config.base import Section
from kagglekit.models import Suggester
from kagglekit.models.layers import as_image, attend, attention_score, conv_norm

DEFAULTS: dict[str, Any] = {"lr": 4e-3, "epochs": 16}  # more confuse unseen words with targets (docs/LOG.md)


class Config(Section):
    """Settings of CRNN."""

    n_mels: Annotated[int, Field(ge=8)] = 40
    """Mel bands of the input."""
    channels: Annotated[int, Field(ge=8, le=256)] = 32
    """Channels of both convolutions; each halves bands and frames."""
    hidden: Annotated[int, Field(ge=8, le=1024)] = 128
    """Units of a recurrent layer in each direction."""
    layers: Annotated[int, Field(ge=1, le=4)] = 2
    """Number of recurrent layers."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """Dropout between the recurrent layers and before the classifier."""


class CRNN(nn.Module):
    """Convolutions, recurrent layers, attention over their steps, and a classifier."""

    def __init__(self, config: Config, num_classes: int) -> None:
        super().__init__()
        self.config = config
        c = config
        self.normalise = nn.BatchNorm1d(c.n_mels)
        self.front = nn.Sequential(
            *(*conv_norm(1, c.channels, (5, 5), stride=2), nn.ReLU()),
            *(*conv_norm(c.channels, c.channels, (3, 3), stride=2), nn.ReLU()),
        )
        self.recurrent = nn.GRU(
            c.channels * -(-c.n_mels // 4),
            c.hidden,
            c.layers,
            batch_first=True,
            bidirectional=True,
            dropout=c.dropout if c.layers > 1 else 0.0,  # torch warns of dropout with a single layer
        )
        self.score = attention_score(2 * c.hidden, c.hidden)
        self.head = nn.Sequential(nn.Dropout(c.dropout), nn.Linear(2 * c.hidden, num_classes))

    def forward(self, log_mel: Tensor) -> Tensor:
        """Log-mels (batch, n_mels, frames) to logits (batch, num_classes)."""
        x = self.front(as_image(self.normalise(log_mel)))  # (batch, channels, n_mels / 4, frames / 4)
        x, _ = self.recurrent(x.permute(0, 3, 1, 2).flatten(2))  # (batch, frames / 4, 2 * hidden)
        logits: Tensor = self.head(attend(x, self.score(x)))
        return logits


build = CRNN


def search_space(trial: Suggester) -> dict[str, Any]:
    return {
        "channels": trial.suggest_categorical("channels", [16, 32, 64]),
        "hidden": trial.suggest_categorical("hidden", [64, 96, 128]),
        "layers": trial.suggest_int("layers", 1, 2),
        "dropout": trial.suggest_float("dropout", 0.05, 0.5),
    }
