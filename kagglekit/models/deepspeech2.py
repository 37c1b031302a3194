"""DeepSpeech2, scaled down from sentences to words.

Paper: Amodei and others 2015, https://arxiv.org/abs/1512.02595.
Reference code: none by the authors; SeanNaren/deepspeech.pytorch, deepspeech_pytorch/model.py.
As in the paper: convolutions over frequency and time with batch norm and a clipped ReLU, bidirectional
recurrent layers whose two directions are added, and batch norm over a layer's whole input sequence.

What we changed: the mean over time has one label, instead of a label for each step (CTC). The input has 40
mel bands instead of 161 linear ones, so the kernels are a quarter as high. A word lasts a tenth of a
sentence, so there are three recurrent layers of 128 GRU units instead of seven wide ones, and both
convolutions halve the frames.
"""

from typing import Annotated, Any

from pydantic import Field
from torch import Tensor, nn

from kagglekit.config.base import Section
from kagglekit.models import Suggester
from kagglekit.models.layers import as_image, conv_norm

DEFAULTS: dict[str, Any] = {"lr": 2e-3, "epochs": 30}
CLIP = 20.0
"""Upper bound of the clipped ReLU (section 3.1)."""


class Config(Section):
    """Settings of DeepSpeech2."""

    n_mels: Annotated[int, Field(ge=8)] = 40
    """Mel bands of the input."""
    channels: Annotated[int, Field(ge=4, le=96)] = 32
    """Channels of both convolutions; each halves bands and frames."""
    hidden: Annotated[int, Field(ge=8, le=1024)] = 128
    """Units of a recurrent layer, whose two directions are added."""
    layers: Annotated[int, Field(ge=1, le=7)] = 3
    """Number of recurrent layers."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """Dropout before every recurrent layer but the first, and before the classifier."""


class RecurrentLayer(nn.Module):
    """Batch norm over all steps, and the sum of a GRU's two directions."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(inputs)
        self.gru = nn.GRU(inputs, hidden, batch_first=True, bidirectional=True)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, steps, inputs) to (batch, steps, hidden)."""
        x, _ = self.gru(self.norm(x.flatten(0, 1)).view(x.shape))
        forwards, backwards = x.chunk(2, dim=2)
        added: Tensor = forwards + backwards
        return added


class DeepSpeech2(nn.Module):
    """Convolutions, recurrent layers, mean over time, and a classifier."""

    def __init__(self, config: Config, num_classes: int) -> None:
        super().__init__()
        self.config = config
        c = config
        self.normalise = nn.BatchNorm1d(c.n_mels)
        self.front = nn.Sequential(
            *(*conv_norm(1, c.channels, (11, 11), stride=2), nn.Hardtanh(0.0, CLIP)),
            *(*conv_norm(c.channels, c.channels, (5, 11), stride=2), nn.Hardtanh(0.0, CLIP)),
        )
        self.recurrent = nn.Sequential(RecurrentLayer(c.channels * -(-c.n_mels // 4), c.hidden))
        for _ in range(c.layers - 1):
            self.recurrent.extend([nn.Dropout(c.dropout), RecurrentLayer(c.hidden, c.hidden)])
        self.head = nn.Sequential(
            nn.BatchNorm1d(c.hidden), nn.Dropout(c.dropout), nn.Linear(c.hidden, num_classes)
        )

    def forward(self, log_mel: Tensor) -> Tensor:
        """Log-mels (batch, n_mels, frames) to logits (batch, num_classes)."""
        x = self.front(as_image(self.normalise(log_mel)))  # (batch, channels, n_mels / 4, frames / 4)
        x = self.recurrent(x.permute(0, 3, 1, 2).flatten(2))  # (batch, frames / 4, hidden)
        logits: Tensor = self.head(x.mean(dim=1))
        return logits


build = DeepSpeech2


def search_space(trial: Suggester) -> dict[str, Any]:
    return {
        "channels": trial.suggest_categorical("channels", [16, 32]),
        "hidden": trial.suggest_categorical("hidden", [96, 128, 192]),
        "layers": trial.suggest_int("layers", 2, 4),
        "dropout": trial.suggest_float("dropout", 0.05, 0.5),
    }
