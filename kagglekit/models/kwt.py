"""KWT, the keyword transformer: attention between the frames of a clip, classified at a class token.

Paper: Berg, O'Connor, Tairum Cruz 2021, https://arxiv.org/abs/2104.00769.
Reference code: ARM-software/keyword-transformer, kws_streaming/models/kws_transformer.py and
transformer_utils.py.
What we changed: log-mel instead of MFCC, normalised by a batch norm; frames can be joined to steps, as
the cost of attention grows with the square of their number; positions allow clips longer than a second.
"""

from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from kagglekit.config.base import Count, Section
from kagglekit.models import Suggester
from kagglekit.models.layers import check_frames

DEFAULTS: dict[str, Any] = {"lr": 1e-3, "epochs": 40, "weight_decay": 0.1, "batch_size": 32}
HEAD = 64
"""Channels of an attention head; KWT-1, 2 and 3 have one, two and three heads."""
STD = 0.02  # of the initial weights


class Config(Section):
    """Settings of KWT."""

    n_mels: Count = 40
    """Mel bands of the input."""
    max_frames: Count = 300
    """Frames of the longest clip, 10 ms each by default; each step has a learned position."""
    size: Literal[1, 2, 3] = 1
    """KWT-1, KWT-2 or KWT-3: heads of 64 channels."""
    layers: Annotated[int, Field(ge=1, le=24)] = 12
    """Number of layers."""
    stack: Annotated[int, Field(ge=1, le=8)] = 2
    """Frames joined to a step; the paper's value is 1, which takes 2.4 times as long to train."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Dropout of the outputs of each attention and each perceptron."""


class TransformerLayer(nn.Module):
    """Attention and perceptron, each normalised after its shortcut (the paper's PostNorm)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width = HEAD * config.size
        self.heads = config.size
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width)
        self.perceptron = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.norms = nn.ModuleList(nn.LayerNorm(width, eps=1e-6) for _ in range(2))
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, steps, width) to the same."""
        # (batch, heads, steps, 64) each
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, HEAD)).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = self.norms[0](x + self.dropout(self.out(attended)))
        out: Tensor = self.norms[1](x + self.dropout(self.perceptron(x)))
        return out


class KWT(nn.Module):
    """A class token and embedded frames, layers, and a classifier of the token."""

    def __init__(self, config: Config, num_classes: int) -> None:
        super().__init__()
        self.config = config
        width, steps = HEAD * config.size, -(-config.max_frames // config.stack)
        self.normalise = nn.BatchNorm1d(config.n_mels)
        # A convolution whose stride is its width stacks frames and embeds them linearly.
        self.embedding = nn.Conv1d(config.n_mels, width, config.stack, stride=config.stack)
        self.token = nn.Parameter(torch.empty(width))
        self.position = nn.Parameter(torch.empty(1 + steps, width))
        self.layers = nn.Sequential(*(TransformerLayer(config) for _ in range(config.layers)))
        self.head = nn.Linear(width, num_classes)
        for name, parameter in self.named_parameters():
            if name in ("token", "position") or parameter.ndim > 1:
                nn.init.trunc_normal_(parameter, std=STD)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def forward(self, log_mel: Tensor) -> Tensor:
        """Log-mels (batch, n_mels, frames) to logits (batch, num_classes).

        Raises:
            ConfigError: more frames than config.max_frames.
        """
        check_frames(log_mel, self.config.max_frames, "kwt")
        x = self.embedding(self.normalise(log_mel)).transpose(1, 2)  # (batch, steps, width)
        x = torch.cat([self.token.expand(x.shape[0], 1, -1), x], dim=1)
        x = self.layers(x + self.position[: x.shape[1]])
        logits: Tensor = self.head(x[:, 0])
        return logits


build = KWT


def search_space(trial: Suggester) -> dict[str, Any]:
    """Search depth, resolution in time and dropout; larger widths cost too much on a CPU."""
    return {
        "layers": trial.suggest_int("layers", 4, 12),
        "stack": trial.suggest_int("stack", 1, 4),
        "dropout": trial.suggest_float("dropout", 0.0, 0.3),
    }
