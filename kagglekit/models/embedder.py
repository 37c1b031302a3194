"""Any frozen network in an ONNX or a TFLite file that maps a window of a waveform to numbers, and a head.

Such as BirdNET (kagglekit.models.birdnet) or Perch v2. The embeddings of all clips are computed once
(kagglekit.features.embeddings), at the network's sample rate, whatever audio.sample_rate is. Nothing of the
file is trained. A run does not contain its weights, but its SHA-256.

Reference code: BirdNET-Analyzer and Perch's hoplite train such heads. What we changed: the head takes the
mean and the maximum over the windows of a clip; L2 is chosen inside each fold (kagglekit.training.fit).
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from kagglekit.config.audio import Audio
from kagglekit.config.base import Positive, Section
from kagglekit.data.windows import window_starts
from kagglekit.errors import ConfigError
from kagglekit.models import Suggester, hub
from kagglekit.models.layers import attend, attention_score
from kagglekit.models.network_file import MOST_NUMBERS, NetworkFile, open_network, sha256

DEFAULTS: dict[str, Any] = {"optimizer": "lbfgs", "label_smoothing": 0.0}
MOST_WINDOW_S = 60
MOST_WINDOWS = 1200  # of a clip: a minute of windows, 0.05 s apart


class EmbedderConfig(Section):
    """Settings of a frozen network in a file, and of the head on its embeddings."""

    checkpoint: str | None = None
    """ONNX or TFLite file: a path, or OWNER/REPO/FILE on the Hugging Face Hub."""
    output: str | None = None
    """Name of the tensor that is the embedding, an output or any tensor inside; null: the only output."""
    sample_rate: Annotated[int, Field(ge=1000, le=192_000)] = 16_000
    """Sample rate of the network's input in Hz."""
    window_s: Annotated[float, Field(gt=0, le=60)] | None = None
    """Seconds of a window; null: as long as the network's input. A shorter clip is padded with zeros at its
    end."""
    hop_s: Annotated[Positive, Field(le=60)] | None = None
    """Seconds between the starts of two windows; null: half a window. The last window ends with the clip."""
    head: Literal["linear", "mlp", "attention"] = "linear"
    """linear and mlp take what `pool` gives; attention takes a mean over a clip's embeddings with learnt
    weights."""
    pool: Literal["mean_max", "mean", "max"] = "mean_max"
    """How linear and mlp join a clip's embeddings: their mean beside their maximum, or one of the two, which
    takes half the time and is the same where a clip has one window."""
    hidden: Annotated[int, Field(ge=8, le=4096)] = 128
    """Hidden units of mlp and attention."""
    embeddings: Literal["float16", "float32"] = "float16"
    """Type in which embeddings are stored."""
    dim: Annotated[int, Field(ge=1, le=MOST_NUMBERS)] | None = None
    """Numbers of an embedding, filled in by `build`."""
    sha256: str | None = None
    """Hash of the file, filled in by `build`."""

    @model_validator(mode="after")
    def _windows_meet(self) -> "EmbedderConfig":
        if self.hop_s is not None and self.window_s is not None and self.hop_s > self.window_s:
            raise ValueError(f"hop_s {self.hop_s:g} is larger than window_s {self.window_s:g}")
        return self


Config = EmbedderConfig


class StepsHead(nn.Module):
    """A head on the embeddings of a clip's windows."""

    scale: Tensor

    def __init__(self, config: EmbedderConfig, num_classes: int) -> None:
        super().__init__()
        assert config.dim is not None
        self.config = config
        self.is_convex = config.head == "linear"
        self.register_buffer("scale", torch.ones(()))
        width = config.dim
        self.score: nn.Module | None = None
        if config.head == "attention":
            self.score = attention_score(width, config.hidden)
        elif config.pool == "mean_max":
            width = 2 * width
        if config.head == "mlp":
            hidden = nn.Linear(width, config.hidden)
            self.classes: nn.Module = nn.Sequential(hidden, nn.ReLU(), nn.Linear(config.hidden, num_classes))
        else:
            self.classes = nn.Linear(width, num_classes)

    def pool(self, steps: Tensor) -> Tensor:
        """(batch, steps, dim) to what of it has no weights to learn: (batch, width), or the same."""
        if self.score is not None:
            return steps
        if self.config.pool == "mean":
            return steps.mean(1)
        if self.config.pool == "max":
            return steps.amax(1)
        return torch.cat([steps.mean(1), steps.amax(1)], 1)

    def classify(self, pooled: Tensor) -> Tensor:
        """What `pool` returns, to logits (batch, num_classes)."""
        x = self.scale * pooled
        if self.score is not None:
            x = attend(x, self.score(x))
        logits: Tensor = self.classes(x)
        return logits

    def forward(self, steps: Tensor) -> Tensor:
        """(batch, steps, dim) to logits (batch, num_classes)."""
        return self.classify(self.pool(steps))


class FileEmbedder:
    """A network in a file, with the windows that it takes."""

    def __init__(self, config: EmbedderConfig, path: Path) -> None:
        check_same(config, path)
        self.config, self.path = config, path
        self.network = open_network(path, config.output)
        self.samples = window_samples(config, self.network, path)
        self._shape: tuple[int, ...] | None = None
        """Of the embeddings of a window, once one was computed: (steps, dim)."""

    def embed(self, waveform: Tensor) -> Tensor:
        """(batch, samples) in [-1, 1] at config.sample_rate to (batch, steps, dim).

        Raises:
            ConfigError: the network refuses the window, or gives too much.
        """
        return torch.from_numpy(np.stack([self._clip(row) for row in waveform.cpu().numpy()]))

    def _clip(self, row: np.ndarray[Any, np.dtype[np.float32]]) -> np.ndarray[Any, np.dtype[np.float32]]:
        if len(row) < self.samples:
            row = np.pad(row, (0, self.samples - len(row)))
        starts = window_starts(len(row), self._windows())
        if len(starts) >= MOST_WINDOWS:
            raise ConfigError(
                f"hop_s {self.config.hop_s} gives a clip {MOST_WINDOWS:,} windows or more", hint="raise hop_s"
            )
        return np.concatenate([self._window(row[start : start + self.samples]) for start in starts])

    def _windows(self) -> Audio:
        rate = self.config.sample_rate
        seconds = self.samples / rate
        hop = min(self.config.hop_s or seconds / 2, seconds)
        return Audio(
            sample_rate=rate, seconds=seconds, longer="windows", hop_seconds=hop, max_windows=MOST_WINDOWS
        )

    def _window(
        self, samples: np.ndarray[Any, np.dtype[np.float32]]
    ) -> np.ndarray[Any, np.dtype[np.float32]]:
        shape = [len(samples) if size is None or size == len(samples) else 1 for size in self.network.shape]
        if self.network.shape[0] is None and len(shape) > 1:
            shape[0] = 1
        try:
            found = self.network.run(np.ascontiguousarray(samples, np.float32).reshape(shape))
        except Exception as error:  # onnxruntime's own are direct children of Exception
            first = next(iter(str(error).strip().splitlines()), type(error).__name__)
            raise ConfigError(
                f"{self.path.name} cannot embed a window of {len(samples):,} samples: {first[:200]}",
                hint="check window_s, sample_rate and output",
            ) from error
        if found.dtype.kind != "f" or not 0 < found.size <= MOST_NUMBERS:
            raise ConfigError(
                f"{self.path.name} gives {found.dtype} of shape {list(found.shape)}, which is no embedding",
                hint="choose another tensor with `output`",
            )
        # pooling leaves axes of one, as in (1, dim, 1, 1)
        sizes = [size for size in found.shape if size > 1]
        rows = found.reshape(-1, sizes[-1] if sizes else 1)
        self._shape = self._shape or rows.shape
        if rows.shape != self._shape:
            raise ConfigError(
                f"{self.path.name} gives {rows.shape[0]} x {rows.shape[1]} numbers for one window and "
                f"{self._shape[0]} x {self._shape[1]} for another, which is no embedding",
                hint="choose another tensor with `output`",
            )
        with np.errstate(over="ignore"):  # what is too large for float32 is infinite, and refused as such
            return rows.astype(np.float32)


def check_same(config: EmbedderConfig, path: Path) -> None:
    """Raise a ConfigError where a run was trained with another file than the one at `path`."""
    if config.sha256 is not None and (now := sha256(path)) != config.sha256:
        raise ConfigError(
            f"{path} is not the file that the run was trained with: its SHA-256 begins with {now[:12]}, and "
            f"that one's with {config.sha256[:12]}",
            hint="put that file back, or train again with this one",
        )


def window_samples(config: EmbedderConfig, network: NetworkFile, path: Path) -> int:
    """Return the samples of a window.

    Raises:
        ConfigError: the file takes no waveform, or one of another length than config.window_s.
    """
    sizes = [size for size in network.shape if size != 1]
    fixed = [size for size in sizes if size is not None]
    wanted = None if config.window_s is None else round(config.window_s * config.sample_rate)
    if len(fixed) > 1 or not sizes or len(network.shape) > 3 or (None in network.shape[1:] and fixed):
        raise ConfigError(
            f"{path.name} takes input of shape {list(network.shape)}, which is no waveform",
            hint="an embedder takes (samples), (1, samples) or (1, 1, samples)",
        )
    if fixed and wanted is not None and fixed[0] != wanted:
        raise ConfigError(
            f"{path.name} takes {fixed[0]:,} samples; {config.window_s:g} s at {config.sample_rate:,} Hz are "
            f"{wanted:,}",
            hint=f"set window_s: {fixed[0] / config.sample_rate:g}, or another sample_rate",
        )
    if not fixed and wanted is None:
        raise ConfigError(f"{path.name} takes windows of any length", hint="set window_s")
    samples = fixed[0] if fixed else int(wanted or 0)
    if not 1 <= samples <= MOST_WINDOW_S * config.sample_rate:
        raise ConfigError(
            f"{path.name} takes windows of {samples:,} samples; from 1 to {MOST_WINDOW_S} s at "
            f"{config.sample_rate:,} Hz will do",
            hint="set window_s or sample_rate, or name another network",
        )
    return samples


def path_of(config: EmbedderConfig) -> Path:
    """Return the file, downloaded if the hub has it.

    Raises:
        KagglekitError: none is named, or it cannot be had.
    """
    if config.checkpoint is None:
        raise ConfigError(
            "the model embedder needs a file", hint="set models.embedder.checkpoint: FILE.onnx or FILE.tflite"
        )
    return hub.find_file(config.checkpoint)


def build(config: EmbedderConfig, num_classes: int) -> StepsHead:
    """Build the head, untrained. The file is opened only where config says no sizes yet.

    Raises:
        KagglekitError: the file cannot be had or used.
    """
    return build_head(config, path_of, num_classes)


def build_head(config: EmbedderConfig, find: Callable[[EmbedderConfig], Path], num_classes: int) -> StepsHead:
    """Build the head for embeddings of the file that `find(config)` returns."""
    if config.dim is None:
        path = find(config)
        config = config.model_copy(update={"dim": _dim(config, path), "sha256": sha256(path)})
    return StepsHead(config, num_classes)


@cache
def _dim(config: EmbedderConfig, path: Path) -> int:
    """Return the numbers of an embedding, of a window of silence."""
    network = FileEmbedder(config, path)
    return int(network.embed(torch.zeros(1, network.samples)).shape[2])


def embedder(config: EmbedderConfig) -> FileEmbedder:
    """Return the network that computes the embeddings."""
    return FileEmbedder(config, path_of(config))


def embedding_key(config: EmbedderConfig) -> Any:
    """Return what shapes the embeddings, JSON-serialisable: the file, the tensor and the windows."""
    return key_for(config, path_of(config))


def key_for(config: EmbedderConfig, path: Path) -> Any:
    """Return `embedding_key` of a file."""
    check_same(config, path)
    return sha256(path), config.output, config.sample_rate, config.window_s, config.hop_s


def search_space(trial: Suggester) -> dict[str, Any]:
    """Search the head; L2 is chosen in each fold."""
    return {"head": trial.suggest_categorical("head", ["linear", "mlp", "attention"])}
