"""The package timm, which is optional: import it, ask for its weights, and read its networks' maps."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from kagglekit.errors import ConfigError, MissingError

INSTALL = "pip install 'kagglekit[timm]'"


class SmallNetwork(NamedTuple):
    """What a small network costs, with a plain head for ten classes."""

    parameters: int
    """Trained weights."""
    giga_macs: float
    """Multiply-adds of a prediction of one channel of 128 x 313, in 10^9; a training step has three times
    as many. Networks of few, such as efficientnet_b0, make fewer of them a second."""


SMALL = {
    "resnet18": SmallNetwork(11_175_626, 1.411),
    "resnet10t": SmallNetwork(4_927_442, 0.884),
    "efficientnet_b0": SmallNetwork(4_020_038, 0.307),
    "tf_efficientnetv2_b0": SmallNetwork(5_871_194, 0.577),
    "mobilenetv3_large_100": SmallNetwork(2_981_530, 0.172),
    "regnety_004": SmallNetwork(3_907_234, 0.321),
    "convnext_atto": SmallNetwork(3_376_066, 0.421),
    "hgnetv2_b0": SmallNetwork(1_860_614, 0.255),
    "seresnext26t_32x4d": SmallNetwork(14_778_290, 2.171),
}
"""Small networks for a start, which `kagglekit models` lists."""


def import_timm() -> Any:
    """Import timm, which is optional.

    Raises:
        MissingError: timm or torchvision is not installed, or torchvision is of another build of torch.
    """
    try:
        import timm
    except ImportError as error:
        raise MissingError(f"timm cannot be imported: {error}", hint=INSTALL) from error
    except RuntimeError as error:  # torchvision's operators, which another build of torch does not load
        raise MissingError(
            f"timm cannot be imported: torchvision fits another build of torch than {torch.__version__}: "
            f"{first_line(error)}",
            hint="install both from one index: https://pytorch.org/get-started/locally",
        ) from error
    return timm


def weights_of(network: str) -> str:
    """Return the repository of the weights that timm has for a network.

    Raises:
        ConfigError: it has none there.
    """
    known = import_timm().models.get_pretrained_cfg(network)
    if known is None or not known.hf_hub_id:
        raise ConfigError(
            f"timm has no pretrained weights of '{network}' on the hub",
            hint="name a checkpoint, or train from scratch: "
            f"--set models.timm:{network}.model.pretrained=false",
        )
    return str(known.hf_hub_id)


def feature_maps(backbone: nn.Module, x: Tensor) -> Tensor:
    """Images (batch, channels, height, width) to maps (batch, width, rows, columns)."""
    network: Any = backbone
    y: Tensor = network.forward_features(x)
    if y.ndim == 3:  # tokens of a vision transformer, (batch, tokens, width)
        rows, columns = network.patch_embed.dynamic_feat_size(x.shape[-2:])
        return y[:, network.num_prefix_tokens :].transpose(1, 2).reshape(y.shape[0], -1, rows, columns)
    channels_last = y.shape[1] != network.num_features == y.shape[3]
    return y.permute(0, 3, 1, 2) if channels_last else y


def first_line(error: Exception) -> str:
    """Return the first line of an error, or its type where it says nothing."""
    return next(iter(str(error).splitlines()), type(error).__name__)
