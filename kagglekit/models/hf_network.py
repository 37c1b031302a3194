"""Read, make, save and freeze Hugging Face's networks for audio classification."""

import json
import logging
import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import AutoConfig, AutoFeatureExtractor, AutoModelForAudioClassification, PreTrainedModel
from transformers.utils import logging as transformers_logging

from kagglekit.errors import ConfigError
from kagglekit.files.atomic import move_into_place
from kagglekit.models.ast_last_layer import keep_two_tokens

HEAD = ("layer_weights", "projector", "classifier")
"""The modules that transformers adds to a network to classify; all others come from pretraining."""
POSITIONS_PER_S = 50  # in Whisper's encoder: 100 frames a second, halved by its second convolution


def read_checkpoint(
    folder: Path, name: str, num_classes: int, layer_weights: bool | None = None, context_s: int | None = None
) -> tuple[PreTrainedModel, dict[str, Any]]:
    """Read a network with its weights, and the settings of its feature extractor.

    Args:
        num_classes: a head for another number of classes is replaced by one with random weights.
        layer_weights: whether the head takes a weighted sum of all layers; None: as the checkpoint has it.
        context_s: seconds of Whisper's input; None: as the checkpoint has it.

    Raises:
        ConfigError: the checkpoint is damaged or unsafe, or has no such setting.
    """
    try:
        with quiet():
            extractor = AutoFeatureExtractor.from_pretrained(  # type: ignore[no-untyped-call]
                folder, trust_remote_code=False
            )
            settings = AutoConfig.from_pretrained(folder, trust_remote_code=False, num_labels=num_classes)
            if layer_weights is not None:
                _set_layer_weights(settings, layer_weights, name)
            network, loaded = AutoModelForAudioClassification.from_pretrained(
                folder,
                config=_without_custom_code(settings),
                trust_remote_code=False,
                use_safetensors=True,
                ignore_mismatched_sizes=True,  # a head for other classes
                dtype=torch.float32,
                output_loading_info=True,
            )
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ConfigError(
            f"checkpoint '{name}' cannot be read: {reason}",
            hint="it needs config.json, preprocessor_config.json and safetensors weights of an audio network",
        ) from error
    _check_backbone(loaded, name)
    if "layer_weights" in loaded["missing_keys"]:
        set_equal_weights(network)
    keep_two_tokens(network)
    preprocessor = json.loads(extractor.to_json_string())
    if context_s is not None:
        _shorten(network, preprocessor, context_s, name)
    return network, preprocessor


def _set_layer_weights(settings: Any, wanted: bool, name: str) -> None:
    if wanted and not hasattr(settings, "use_weighted_layer_sum"):
        raise ConfigError(
            f"layer_weights: checkpoint '{name}', of type {settings.model_type}, has a head that "
            "takes the last layer alone",
            hint="leave layer_weights out",
        )
    settings.use_weighted_layer_sum = wanted


def _check_backbone(loaded: Mapping[str, Any], name: str) -> None:
    """Raise a ConfigError if the network below the head lacks weights; a new head is no problem."""
    absent = [*loaded["missing_keys"], *(key for key, *_ in loaded["mismatched_keys"])]
    lost = [key for key in absent if key.split(".")[0] not in HEAD and "masked_spec" not in key]
    if lost:
        raise ConfigError(
            f"checkpoint '{name}' lacks {len(lost)} weights of its network, such as {lost[0]}",
            hint="its config.json and its weights do not belong together",
        )


def _shorten(network: Any, preprocessor: dict[str, Any], seconds: int, name: str) -> None:
    """Keep the first `seconds` of Whisper's positions, so that it does not process padding."""
    if network.config.model_type != "whisper":
        raise ConfigError(
            f"context_s: checkpoint '{name}', of type {network.config.model_type}, takes clips of any length",
            hint="leave context_s out; it is for Whisper",
        )
    positions = network.encoder.embed_positions.weight[: seconds * POSITIONS_PER_S].detach().clone()
    network.encoder.embed_positions = nn.Embedding(len(positions), positions.shape[1], _weight=positions)
    network.encoder.embed_positions.requires_grad_(False)
    network.encoder.max_source_positions = network.config.max_source_positions = len(positions)
    preprocessor["chunk_length"] = len(positions) // POSITIONS_PER_S


def random_network(hf_config: Mapping[str, Any], num_classes: int) -> PreTrainedModel:
    """Make a network with these settings and random weights."""
    same = len(hf_config["id2label"]) == num_classes
    labels = {} if same else {"num_labels": num_classes, "id2label": None, "label2id": None}
    settings = AutoConfig.for_model(**{**hf_config, **labels})
    network = AutoModelForAudioClassification.from_config(  # type: ignore[no-untyped-call]
        _without_custom_code(settings), dtype=torch.float32
    )
    keep_two_tokens(network)
    return cast(PreTrainedModel, network)


def save(network: PreTrainedModel, extractor: Any, folder: Path) -> None:
    """Save a network and its feature extractor as a checkpoint in `folder`, which must not exist."""
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    with quiet():
        network.save_pretrained(part)
        extractor.save_pretrained(part)
    move_into_place(part, folder)


def backbone(network: PreTrainedModel) -> nn.Module:
    """Return the network below its head."""
    return next(child for name, child in network.named_children() if name not in HEAD)


def weighs_layers(model: nn.Module) -> bool:
    """Tell whether the head takes a weighted sum of all layers."""
    return getattr(model, "layer_weights", None) is not None


def set_equal_weights(model: Any) -> None:
    """Weigh all layers equally, as transformers does in a new network."""
    nn.init.constant_(model.layer_weights, 1 / len(model.layer_weights))


def freeze_below(network: PreTrainedModel, layers: int) -> None:
    """Freeze all but the last `layers` and the head.

    Raises:
        ConfigError: the network has fewer layers.
    """
    names = ("layers", "layer")  # SEW-D has the latter
    body = backbone(network)
    stack = next(module for name, module in body.named_modules() if name.rpartition(".")[2] in names)
    assert isinstance(stack, nn.ModuleList)
    if layers > len(stack):
        raise ConfigError(
            f"layers is {layers}, but the network has {len(stack)}",
            hint="set tune: full to train all of them",
        )
    body.requires_grad_(False)
    front = getattr(body, "feature_extractor", None)
    if front is not None:  # unless told, it computes the gradient of its input, through all frozen layers
        front._freeze_parameters()
    for layer in stack[-layers:]:
        layer.requires_grad_(True)


def _without_custom_code(settings: Any) -> Any:
    """Use torch's attention, whatever code config.json names."""
    settings._attn_implementation = None
    return settings


@contextmanager
def quiet() -> Iterator[None]:
    """Silence transformers, which reports new heads, empty mel filters and every file; all are expected."""
    logger = logging.getLogger("transformers")
    level, bars = logger.level, transformers_logging.is_progress_bar_enabled()
    logger.setLevel(logging.ERROR)
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "At least one mel filter", UserWarning)
            yield
    finally:
        logger.setLevel(level)
        if bars:
            transformers_logging.enable_progress_bar()  # type: ignore[no-untyped-call]
