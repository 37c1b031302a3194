"""ConvS2S: convolutional sequence to sequence learning, with a target sequence of one token.

Paper: Gehring, Auli, Grangier, Yarats, Dauphin 2017, https://arxiv.org/abs/1705.03122.
Reference code: facebookresearch/fairseq, fairseq/models/fconv.py.

As in the paper: position embeddings, GLU blocks whose residuals are scaled by sqrt(0.5), attention in
every decoder block over the encoder's outputs, weight normalisation and the initialisation of its
appendix A, encoder gradients divided by the number of attentions.

What we changed: the source's "words" are frames of a log-mel spectrogram, `stack` of them joined and embedded
by a linear layer. The target is a single token, the class: the decoder takes one step from a learned start
token. Over one token all taps of a causal convolution but the last meet padding, so the decoder has linear
layers instead of convolutions. Encoder and decoder are as wide as the embeddings, so the paper's projections
between them are left out.
"""

import math
from functools import partial
from typing import Annotated, Any, TypeVar

import torch
import torch.nn.functional as F
from pydantic import Field, field_validator
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from kagglekit.config.base import Count, Section
from kagglekit.models import Suggester
from kagglekit.models.layers import check_frames

Layer = TypeVar("Layer", nn.Linear, nn.Conv1d)

DEFAULTS: dict[str, Any] = {"epochs": 30}
HALF = math.sqrt(0.5)  # keeps the variance of a sum of two (section 3.4)
EMBEDDING_STD = 0.1  # appendix A; embedded frames start with the scale of embedded words


class Config(Section):
    """Settings of ConvS2S."""

    n_mels: Count = 40
    """Mel bands of the input."""
    max_frames: Count = 300
    """Frames of the longest clip, 10 ms each by default; each step has a learned position."""
    stack: Annotated[int, Field(ge=1, le=8)] = 3
    """Frames joined to an encoder step."""
    channels: Annotated[int, Field(ge=8, le=1024)] = 128
    """Width of the embeddings and of every block."""
    blocks: Annotated[int, Field(ge=1, le=32)] = 4
    """Number of encoder blocks."""
    kernel: Annotated[int, Field(ge=1, le=31)] = 5
    """Encoder steps under a block's kernel; odd."""
    decoder_blocks: Annotated[int, Field(ge=1, le=8)] = 2
    """Number of decoder blocks, each with an attention."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """Dropout of the embeddings, of every block's input and of the decoder's output."""

    @field_validator("kernel")
    @classmethod
    def _odd(cls, kernel: int) -> int:
        if kernel % 2 == 0:
            raise ValueError("must be odd, so that a block keeps the length")
        return kernel


class Encoder(nn.Module):
    """Embedding of the frames, and convolutional blocks."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        c = config
        self.max_frames = c.max_frames
        self.dropout = nn.Dropout(c.dropout)
        self.normalise = nn.BatchNorm1d(c.n_mels)
        # A convolution whose stride is its width stacks frames and embeds them linearly.
        self.embedding = _initialised(
            nn.Conv1d(c.n_mels, c.channels, c.stack, stride=c.stack), gain=EMBEDDING_STD**2
        )
        self.position = nn.Parameter(torch.empty(c.channels, -(-c.max_frames // c.stack)))
        convolution = partial(nn.Conv1d, c.channels, 2 * c.channels, c.kernel, padding=c.kernel // 2)
        self.convolutions = nn.ModuleList(
            weight_norm(_initialised(convolution(), gain=4 * (1 - c.dropout))) for _ in range(c.blocks)
        )
        nn.init.normal_(self.position, std=EMBEDDING_STD)

    def forward(self, log_mel: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, n_mels, frames) to twice (batch, channels, steps): outputs z and embeddings e."""
        check_frames(log_mel, self.max_frames, "convs2s")
        e = self.embedding(self.normalise(log_mel))
        e = self.dropout(e + self.position[:, : e.shape[-1]])
        z = e
        for convolution in self.convolutions:
            z = (F.glu(convolution(self.dropout(z)), dim=1) + z) * HALF
        return z, e


class DecoderBlock(nn.Module):
    """GLU, then attention over the encoder, for a single decoder step."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width = config.channels
        self.dropout = nn.Dropout(config.dropout)
        self.step = weight_norm(_initialised(nn.Linear(width, 2 * width), gain=4 * (1 - config.dropout)))
        self.query = weight_norm(_initialised(nn.Linear(width, width)))
        self.context = weight_norm(_initialised(nn.Linear(width, width)))

    def forward(self, h: Tensor, target: Tensor, z: Tensor, values: Tensor) -> Tensor:
        """h, target: (batch, channels); z, values: (batch, channels, steps). Returns the next h."""
        out = F.glu(self.step(self.dropout(h)), dim=1)
        query = (self.query(out) + target) * HALF
        attention = torch.softmax(query.unsqueeze(1) @ z, dim=-1)  # (batch, 1, steps)
        steps = z.shape[-1]
        # m * sqrt(1/m) restores the variance that a mean over m steps loses (section 3.4).
        context = (attention @ values.transpose(1, 2)).squeeze(1) * math.sqrt(steps)
        out = (self.context(context) + out) * HALF
        following: Tensor = (out + h) * HALF
        return following


class ConvS2S(nn.Module):
    """Encoder, one decoder step, and a classifier."""

    def __init__(self, config: Config, num_classes: int) -> None:
        super().__init__()
        self.config = config
        self.dropout = nn.Dropout(config.dropout)
        self.encoder = Encoder(config)
        # The start token is always at the first position: one vector is the sum of both embeddings.
        self.start = nn.Parameter(torch.empty(config.channels))
        self.decoder = nn.ModuleList(DecoderBlock(config) for _ in range(config.decoder_blocks))
        self.head = _initialised(nn.Linear(config.channels, num_classes), gain=1 - config.dropout)
        nn.init.normal_(self.start, std=EMBEDDING_STD)

    def forward(self, log_mel: Tensor) -> Tensor:
        """Log-mels (batch, n_mels, frames) to logits (batch, num_classes).

        Raises:
            ConfigError: more frames than config.max_frames.
        """
        z, e = self.encoder(log_mel)
        # each attention uses it twice, as keys and as values
        z = scale_gradient(z, 1 / (2 * len(self.decoder)))
        values = (z + e) * HALF
        target = self.start.expand(z.shape[0], -1)
        h = self.dropout(target)
        for block in self.decoder:
            h = block(h, target, z, values)
        logits: Tensor = self.head(self.dropout(h))
        return logits


def scale_gradient(x: Tensor, scale: float) -> Tensor:
    """Return x, and multiply its gradient by `scale` (section 3.4)."""
    return x * scale + x.detach() * (1 - scale)


def _initialised(layer: Layer, gain: float = 1.0) -> Layer:
    """Draw weights of variance gain / inputs (appendix A).

    The gain is 1 - dropout of the inputs, times 4 before a GLU, which passes a quarter of the variance.
    """
    nn.init.normal_(layer.weight, std=math.sqrt(gain / layer.weight[0].numel()))
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


build = ConvS2S


def search_space(trial: Suggester) -> dict[str, Any]:
    return {
        "stack": trial.suggest_int("stack", 2, 4),
        "channels": trial.suggest_categorical("channels", [64, 96, 128, 192]),
        "blocks": trial.suggest_int("blocks", 3, 6),
        "kernel": trial.suggest_categorical("kernel", [3, 5, 7]),
        "decoder_blocks": trial.suggest_int("decoder_blocks", 1, 3),
        "dropout": trial.suggest_float("dropout", 0.05, 0.4),
    }
