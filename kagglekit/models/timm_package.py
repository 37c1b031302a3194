"""The package timm, which is optional: import it, ask for its weights, and read its networks' maps."""

from typing import Any

import torch
from torch import Tensor, nn

from kagglekit.errors import ConfigError, MissingError

INSTALL = "pip install 'kagglekit[timm]'"


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
        return y[:, network.num_prefix_tokens :].transpose(1, 2).reshape(len(y), -1, rows, columns)
    channels_last = y.shape[1] != network.num_features == y.shape[3]
    return y.permute(0, 3, 1, 2) if channels_last else y


def first_line(error: Exception) -> str:
    """Return the first line of an error, or its type where it says nothing."""
    return next(iter(str(error).splitlines()), type(error).__name__)


SMALL = (
    *("resnet18", "resnet10t", "efficientnet_b0", "tf_efficientnetv2_b0", "mobilenetv3_large_100"),
    *("regnety_004", "convnext_atto", "hgnetv2_b0", "seresnext26t_32x4d"),
)
"""Small networks that are good for a start."""
