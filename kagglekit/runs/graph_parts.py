"""The parts of a graph as torch modules: inputs that members share, and the folds of each member."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from kagglekit import models
from kagglekit.config import Audio, Features
from kagglekit.config.names import InputKind, LabelKind
from kagglekit.errors import ConfigError
from kagglekit.features.logmel import geometry
from kagglekit.features.mel_matrices import MatrixLogMel
from kagglekit.files.keys import key_of
from kagglekit.scoring.numerics import SMALLEST_MEAN
from kagglekit.scoring.thresholds import FLOOR
from kagglekit.training.head import Head
from kagglekit.training.inputs import frozen_network

LEAST_VIEW = 1e-6  # of a probability averaged over test-time shifts, as in Head.mean


class MeanProbability(nn.Module):
    """The mean of probabilities, as logits.

    Log-odds need p and 1 - p, each of full precision: the complement is averaged by itself, not subtracted.
    """

    def __init__(self, head: Head, least: float, added: float = 0.0) -> None:
        """Bound each probability by `least`, or add `added` to it, before the logarithm."""
        super().__init__()
        self.head, self.least, self.added = head, least, added

    def forward(self, logits: Tensor) -> Tensor:
        """(views, batch, classes) to (batch, classes)."""
        if self.head.kind is LabelKind.SINGLE:
            return self._log(logits.softmax(2) if self.head.rule is None else logits.exp())
        # ONNX Runtime's sigmoid errs by 1e-7, as much as the whole of a small probability
        return self._log(1 / (1 + (-logits).exp())) - self._log(1 / (1 + logits.exp()))

    def _log(self, probs: Tensor) -> Tensor:
        mean = probs.mean(0)
        return (mean.clamp(min=self.least) if self.least else mean + self.added).log()


class FoldNetwork(nn.Module):
    """A fold's model, from its input to logits of the classes, averaged over test-time shifts."""

    def __init__(self, model: nn.Module, head: Head, offsets: Sequence[int]) -> None:
        """Take a fold's model.

        Args:
            offsets: the shifts, in steps of the input's last axis.
        """
        super().__init__()
        self.model, self.head, self.offsets = model, head, tuple(offsets)
        multi = head.kind is LabelKind.MULTI
        self.join = MeanProbability(head, LEAST_VIEW if multi else FLOOR)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, ..., time) to (batch, classes)."""
        views = [self._collapse(self.model(_shifted(x, offset)).float()) for offset in self.offsets]
        return views[0] if len(views) == 1 else self.join(torch.stack(views))

    def _collapse(self, logits: Tensor) -> Tensor:
        """Do what Head.collapse does before its thresholds, without masks, whose sizes no graph knows."""
        head = self.head
        if head.direct:
            return logits[:, : len(head.classes)]
        log_probs = logits.log_softmax(1)
        joined = []
        for number in range(len(head.classes)):
            outputs = [i for i, c in enumerate(head.class_of) if c == number]
            scores = log_probs[:, outputs] if outputs else 0 * log_probs[:, :1] + math.log(FLOOR)
            joined.append(scores.logsumexp(1) if head.rule is None else scores.amax(1))
        if head.rule is not None and not head.rule.has_silence_output:
            rest = 1 - torch.stack(joined).exp().sum(0)  # silence was at the floor
            joined[head.rule.silence] = rest.clamp(min=FLOOR).log()
        return torch.stack(joined, 1)


class FoldNetworks(nn.Module):
    """The folds of a run."""

    def __init__(self, folds: Sequence[FoldNetwork], takes: str, by_fold: bool) -> None:
        """Take the folds' networks.

        Args:
            takes: key of the input among those of the graph.
            by_fold: return each fold's logits.
        """
        super().__init__()
        self.folds, self.takes, self.by_fold = nn.ModuleList(folds), takes, by_fold
        self.head = folds[0].head
        self.join = MeanProbability(self.head, 0.0, SMALLEST_MEAN)

    def forward(self, x: Tensor) -> Tensor:
        """The networks' input to logits (batch, classes), or (batch, folds, classes)."""
        logits = [fold(x) for fold in self.folds]
        return torch.stack(logits, 1) if self.by_fold else self.join(torch.stack(logits))


class Graph(nn.Module):
    """Members on one waveform; what several take is computed once."""

    def __init__(self, inputs: Mapping[str, nn.Module], members: Sequence[FoldNetworks]) -> None:
        super().__init__()
        self.inputs, self.members = nn.ModuleDict(inputs), nn.ModuleList(members)

    def forward(self, waveform: Tensor) -> tuple[Tensor, ...]:
        """(batch, samples) in [-1, 1] to the logits of every member."""
        inputs = {name: module(waveform) for name, module in self.inputs.items()}
        return tuple(member(inputs[str(member.takes)]) for member in self.members)


class Embeddings(nn.Module):
    """A frozen network."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, waveform: Tensor) -> Tensor:
        """(batch, samples) in [-1, 1] to (batch, layers or steps, dim)."""
        embeddings: Tensor = self.network.embed(waveform)
        return embeddings


def without_fft(network: nn.Module, samples: int) -> nn.Module:
    """Replace every FFT of a network by matrix products, for clips of `samples`; return the network."""
    for module in network.modules():
        change: Callable[[int], None] | None = getattr(module, "without_fft", None)
        if change is not None:
            change(samples)
    return network


def input_of(meta: Mapping[str, Any], audio: Audio) -> tuple[str, nn.Module]:
    """Return what computes the input of a run's networks from waveforms, and a key that equal ones share.

    Raises:
        ConfigError: a program other than torch computes it.
    """
    kind = models.input_kind(meta["model"], meta["params"])
    if kind is InputKind.WAVEFORM:
        return "waveform", nn.Identity()
    if kind is InputKind.LOG_MEL:
        features = Features(**meta["features"])
        # the type of the cache does not matter here
        shape = features.model_dump(exclude={"dtype"})
        return key_of("log_mel", shape), MatrixLogMel(features, audio.sample_rate, audio.samples)
    frozen = frozen_network(meta["model"], meta["params"])
    network = frozen.load()
    if not isinstance(network, nn.Module):
        raise ConfigError(
            f"{meta['model']} cannot be in a graph: its embeddings are those of another program's file",
            hint="leave it out, or train a model of log-mels or of waveforms",
        )
    return key_of("embedding", frozen.key), Embeddings(without_fft(network, audio.samples))


def rate_of(meta: Mapping[str, Any], audio: Audio) -> float:
    """Return the steps per second on the time axis of a run's inputs."""
    if models.input_kind(meta["model"], meta["params"]) is not InputKind.LOG_MEL:
        return float(audio.sample_rate)
    return audio.sample_rate / geometry(Features(**meta["features"]), audio.sample_rate)[1]


def _shifted(x: Tensor, offset: int) -> Tensor:
    """Shift (batch, ..., time) right by `offset` steps, repeating the edge, as training.augment.shift."""
    if not offset:
        return x
    last = int(x.shape[-1]) - 1
    return x[..., (torch.arange(last + 1) - offset).clamp(0, last)]
