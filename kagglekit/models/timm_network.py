"""Any network of timm on log-mels as images: `timm:resnet18`, `timm:efficientnet_b0`, ...

The package (`pip install 'kagglekit[timm]'`): Wightman 2019, https://doi.org/10.5281/zenodo.4414861.
Reference code: huggingface/pytorch-image-models, whose networks these are; image_heads.py has the heads.

What we changed: each mel band has a batch norm, in place of the normalisation of colours. With one channel,
timm sums the pretrained first convolution over the colours, which equals an image of three equal channels.
Weights are read from safetensors alone; after training, Config and our weights rebuild the model without
them.
"""

from typing import Annotated, Any, Literal, Self

import torch
from pydantic import Field, model_validator
from safetensors import SafetensorError
from torch import Tensor, nn

from kagglekit.config.base import Section, Share
from kagglekit.errors import ConfigError, KagglekitError, MissingError, close_match
from kagglekit.models import Suggester, hub
from kagglekit.models.image_heads import PlainHead, SedHead
from kagglekit.models.layers import as_image
from kagglekit.models.timm_package import feature_maps, first_line, import_timm, weights_of

DEFAULTS: dict[str, Any] = {"epochs": 30, "lr": 1e-3, "batch_size": 64}
CHECKPOINT_SETTINGS: tuple[str, ...] = ()
"""The files that a checkpoint needs beside its weights."""
PROBE_FRAMES = 101  # an odd number, as a clip's frames may be
OTHERS = "choose a convolutional network, such as timm:efficientnet_b0, or more features.n_mels"
WAYS: tuple[dict[str, Any], ...] = (
    {"global_pool": "", "dynamic_img_size": True, "dynamic_img_pad": True},
    {"global_pool": ""},
    {},
)
"""Options that are tried in turn: of vision transformers, so that they read images of any size; of most
networks; of those that cannot leave out their pooling, which is not used."""


class Config(Section):
    """Settings of a network of timm."""

    network: str = "resnet18"
    """Name in timm, filled in from the model's: `resnet18` of `timm:resnet18`."""
    n_mels: Annotated[int, Field(ge=8)] = 40
    """Mel bands of the input."""
    pretrained: bool = True
    """Start from weights that were trained on images; false: from random weights."""
    checkpoint: str | None = None
    """Pretrained weights: a repository of the Hugging Face Hub, or a folder with model.safetensors.
    null: those that timm has for the network."""
    channels: Literal[1, 3] = 1
    """Channels of the image: the log-mel alone, or also its first and second differences over time."""
    head: Literal["plain", "sed"] = "plain"
    """plain: pool over frequency and time, then classify. sed: pool over frequency, classify each step in
    time, and average the steps by attention (arXiv:1912.10211)."""
    pool: Literal["mean", "gem", "max"] = "mean"
    """How the head pools; gem is a mean of powers with a learned exponent (arXiv:1711.02512)."""
    average: Literal["logits", "probs"] = "logits"
    """What attention averages over time, for head: sed. probs: the sigmoid of each class, as in PANNs."""
    loudest: Share = 0.0
    """Share of the step with the largest logit in a clip's, for head: sed; the rest is attention's."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """Dropout before the classifier."""
    drop_path: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Stochastic depth: share of clips for which the last block is skipped, rising linearly with depth
    (arXiv:1603.09382)."""
    channels_last: bool = True
    """Keep the channels of images last in memory, for torch's fastest convolutions."""
    checkpointing: bool = False
    """Compute activations again in the backward pass: less memory, a quarter more time. Running means of
    batch norms then move twice a step."""

    @model_validator(mode="before")
    @classmethod
    def _names_weights(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Refuse an unknown network, and name the weights that timm has for it."""
        network = values.get("network", cls.model_fields["network"].default)
        if network not in (names := import_timm().list_models()):
            known = [f"timm:{name}" for name in names]
            hint = close_match(f"timm:{network}", known)
            raise ConfigError(f"timm has no network '{network}'", hint=hint)
        if values.get("pretrained", True) is True and values.get("checkpoint") is None:
            return {**values, "checkpoint": weights_of(str(network))}
        return values

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.checkpoint is not None and not self.pretrained:
            raise ValueError("a checkpoint is named, and pretrained: false; remove one of them")
        if self.head == "plain" and (self.loudest or self.average != "logits"):
            raise ValueError("average and loudest are settings of head: sed")
        return self


class TimmNetwork(nn.Module):
    """A network of timm without its classifier, and a head for clips."""

    def __init__(self, config: Config, num_classes: int) -> None:
        super().__init__()
        self.config = config
        self.normalise = nn.BatchNorm1d(config.n_mels)
        self.backbone = _backbone(config)
        width = _width(self.backbone, config)
        self.head: PlainHead | SedHead
        if config.head == "sed":
            self.head = SedHead(
                width, num_classes, config.pool, config.dropout, config.average, config.loudest
            )
        else:
            self.head = PlainHead(width, num_classes, config.pool, config.dropout)

    def forward(self, log_mel: Tensor) -> Tensor:
        """Log-mels (batch, n_mels, frames) to logits (batch, num_classes)."""
        logits: Tensor = self.head(self.maps(log_mel))
        return logits

    def maps(self, log_mel: Tensor) -> Tensor:
        """Log-mels (batch, n_mels, frames) to feature maps (batch, width, bands, steps)."""
        x = _images(self.normalise(log_mel), self.config.channels)
        if self.config.channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        return feature_maps(self.backbone, x)

    def frame_logits(self, log_mel: Tensor) -> Tensor:
        """Log-mels to the logits of steps evenly spread over the clip, (batch, num_classes, steps).

        Raises:
            ConfigError: the head is not `sed`.
        """
        if not isinstance(self.head, SedHead):
            raise ConfigError("only head: sed has logits over time", hint="train with it: model.head=sed")
        steps: Tensor = self.head.steps(self.maps(log_mel))[0]
        return steps


def build(config: Config, num_classes: int) -> TimmNetwork:
    """Build the model, with pretrained weights if config.pretrained.

    Raises:
        MissingError: timm is not installed, or the weights cannot be had.
        ConfigError: the network gives no map over frequency and time, or lacks what config asks for.
    """
    model = TimmNetwork(config, num_classes)
    # a saved model needs no hub
    model.config = config.model_copy(update={"pretrained": False, "checkpoint": None})
    return model


def search_space(trial: Suggester) -> dict[str, Any]:
    return {
        "head": trial.suggest_categorical("head", ["plain", "sed"]),
        "pool": trial.suggest_categorical("pool", ["mean", "gem", "max"]),
        "dropout": trial.suggest_float("dropout", 0.0, 0.5),
    }


def _images(x: Tensor, channels: int) -> Tensor:
    """(batch, n_mels, frames) to (batch, channels, n_mels, frames)."""
    if channels == 1:
        return as_image(x)
    first = _difference(x)
    return torch.stack([x, first, _difference(first)], 1)


def _difference(x: Tensor) -> Tensor:
    """Return half the difference between the next and the last frame, of (batch, n_mels, frames)."""
    padded = nn.functional.pad(x, (1, 1), mode="replicate")
    return (padded[..., 2:] - padded[..., :-2]) / 2


def _backbone(config: Config) -> nn.Module:
    """Build the network without its classifier."""
    options: dict[str, Any] = {"in_chans": config.channels, "num_classes": 0}
    if config.drop_path:
        options["drop_path_rate"] = config.drop_path
    network: nn.Module = _pretrained(config, options) if config.pretrained else _create(config, options)
    if config.checkpointing:
        try:
            network.set_grad_checkpointing(True)  # type: ignore[operator]  # a method of timm's networks
        except (AssertionError, AttributeError) as error:
            raise _lacks(config, "checkpointing") from error
    return network


def _pretrained(config: Config, options: dict[str, Any]) -> Any:
    """Build the network with pretrained weights.

    Raises:
        MissingError: they cannot be had.
        ConfigError: they are not the network's, of which timm is silent.
    """
    weights = {"pretrained": True, "pretrained_cfg_overlay": {"file": _file(config), "custom_load": False}}
    networks = []
    for more in ({}, weights):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            networks.append(_create(config, options | more))
    before, after = (dict(network.named_parameters()) for network in networks)
    if missing := [name for name, w in after.items() if w.ndim > 1 and torch.equal(w, before[name])]:
        raise _not_its_weights(config, f"{missing[0]} is not in them")
    return networks[1]


def _not_its_weights(config: Config, why: str) -> ConfigError:
    return ConfigError(
        f"'{config.checkpoint}' has not the weights of timm:{config.network}: {why}",
        hint=f"correct models.timm:{config.network}.checkpoint",
    )


def _create(config: Config, options: dict[str, Any]) -> Any:
    """Call timm.create_model with the options that the network knows."""
    timm, refused = import_timm(), ""
    for way in WAYS:
        try:
            return timm.create_model(config.network, **options, **way)
        except (TypeError, AssertionError) as error:  # an option that the network does not know
            refused = first_line(error)
        except (RuntimeError, SafetensorError, LookupError) as error:
            if not config.pretrained:
                raise
            raise _not_its_weights(config, first_line(error)) from error
    if "drop_path_rate" in refused:
        raise _lacks(config, "drop_path")
    raise ConfigError(f"timm:{config.network} cannot read log-mels: {refused}", hint=OTHERS)


def _lacks(config: Config, setting: str) -> ConfigError:
    return ConfigError(
        f"timm:{config.network} has no {setting}", hint=f"remove models.timm:{config.network}.model.{setting}"
    )


def _file(config: Config) -> str:
    """Return the file of pretrained weights, downloaded if need be.

    Raises:
        MissingError: they cannot be had.
    """
    assert config.checkpoint is not None
    try:
        path = hub.find(config.checkpoint, CHECKPOINT_SETTINGS) / "model.safetensors"
        if not path.is_file():
            raise MissingError(f"there is no {path}")
    except KagglekitError as error:
        place = f"models.timm:{config.network}"
        raise MissingError(
            f"the weights of timm:{config.network} cannot be had: {error}",
            hint=f"name a folder with model.safetensors: --set {place}.checkpoint=FOLDER, "
            f"or train from scratch: --set {place}.model.pretrained=false",
        ) from error
    return str(path)


def _width(backbone: nn.Module, config: Config) -> int:
    """Return the width of the network's feature maps, and exclude from training what does not shape them.

    Raises:
        ConfigError: it gives none for a log-mel.
    """
    weights = [weight for weight in backbone.parameters() if weight.requires_grad]
    probe = torch.zeros(1, config.channels, config.n_mels, PROBE_FRAMES, device=weights[0].device)
    backbone.eval()
    try:
        maps = feature_maps(backbone, probe)
        if maps.ndim != 4:
            raise RuntimeError(f"its output has {maps.ndim} dimensions")
    except Exception as error:  # of timm, of any kind
        raise ConfigError(
            f"timm:{config.network} gives no map over frequency and time of a log-mel "
            f"of {config.n_mels} bands: {first_line(error)}",
            hint=OTHERS,
        ) from error
    gradients = torch.autograd.grad(maps.sum(), weights, allow_unused=True)
    backbone.train()
    for weight, gradient in zip(weights, gradients, strict=True):
        weight.requires_grad_(gradient is not None)
    return maps.shape[1]
