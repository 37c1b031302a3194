"""Any Hugging Face audio network: AST, wav2vec 2.0, HuBERT, WavLM, the encoder of Whisper, ...

Papers: AST, Gong, Chung, Glass 2021, https://arxiv.org/abs/2104.01778; wav2vec 2.0, Baevski, Zhou,
Mohamed, Auli 2020, https://arxiv.org/abs/2006.11477; HuBERT, Hsu et al. 2021,
https://arxiv.org/abs/2106.07447; WavLM, Chen et al. 2021, https://arxiv.org/abs/2110.13900; Whisper,
Radford et al. 2022, https://arxiv.org/abs/2212.04356; learned weights of the layers over a frozen
network, SUPERB, Yang et al. 2021, https://arxiv.org/abs/2105.01051.
Reference code: huggingface/transformers, whose networks these are.

What we changed: the checkpoint's feature extractor runs inside the model, batched in torch, and its
settings travel in Config beside the network's. So Config and our own weights rebuild the model
where the checkpoint is not at hand. With tune: frozen the model is the head alone, over embeddings
that are computed once (kagglekit/features/embeddings.py); its logits are those of the whole network.
"""

from __future__ import annotations

import json
import logging
import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import torch
from pydantic import Field, model_validator
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import AutoConfig, AutoFeatureExtractor, AutoModelForAudioClassification, PreTrainedModel
from transformers.utils import logging as transformers_logging

from kagglekit.config.base import Count, Section
from kagglekit.errors import ConfigError
from kagglekit.files.atomic import move_into_place
from kagglekit.models import hub
from kagglekit.models.ast_tail import hear_two_tokens
from kagglekit.models.extractors import INPUTS, input_of

if TYPE_CHECKING:
    from optuna import Trial

DEFAULTS: dict[str, Any] = {
    # transformers' examples/pytorch/audio-classification: 98.3 % on keyword spotting after 5 epochs.
    "epochs": 5,
    "lr": 3e-5,
    "bf16": False,  # logits equal to the Hugging Face pipeline's
    "batch_size": 32,  # a base-sized network with its gradients and activations in 8 GB
}
HEAD = ("layer_weights", "projector", "classifier")
"""What transformers puts on a network to classify; all else came out of pretraining."""
POSITIONS_PER_S = 50  # of Whisper's encoder: 100 frames a second, halved by its second convolution


class Config(Section):
    """Settings of a pretrained model."""

    checkpoint: str | None = None
    """Hub name or local folder."""
    tune: Literal["full", "partial", "frozen"] = "full"
    """What training changes besides the head: the whole network, its last layers, or nothing; then
    the network's embeddings of all clips are computed once, without augmentation."""
    layers: Count = 2
    """tune: partial: how many of the last layers."""
    layer_weights: bool | None = None
    """The head hears a learned weighted sum of all layers, as in SUPERB, not the last layer alone.
    null: as the checkpoint has it."""
    context_s: Annotated[int, Field(ge=1, le=30)] | None = None
    """Whisper: seconds that it hears, 1 is 30 times as fast as the 30 of its pretraining.
    null: as the checkpoint has it."""
    embeddings: Literal["float16", "float32"] = "float16"
    """tune: frozen: how embeddings are kept."""
    hf_config: dict[str, Any] | None = None
    """The network's own settings, filled in by build; with them the checkpoint is not needed."""
    preprocessor: dict[str, Any] | None = None
    """The feature extractor's own settings, filled in by build."""

    @model_validator(mode="after")
    def _can_be_built(self) -> Config:
        if (self.hf_config is None) != (self.preprocessor is None):
            raise ValueError("hf_config and preprocessor go together")
        if self.hf_config is None and self.checkpoint is None:
            raise ValueError("checkpoint is missing: a hub name or a local folder")
        return self


class Pretrained(nn.Module):
    """A Hugging Face network that hears waveforms."""

    def __init__(self, network: PreTrainedModel, preprocess: nn.Module, config: Config) -> None:
        super().__init__()
        self.network = network
        self.preprocess = preprocess
        self.config = config

    def forward(self, waveform: Tensor) -> Tensor:
        """Classify waveforms.

        Args:
            waveform: (batch, samples), float32 in [-1, 1] at 16 kHz.

        Returns:
            Logits (batch, num_classes).
        """
        # In float32 whatever the network runs in: bfloat16 has 3 digits, a power spectrum needs more.
        with torch.no_grad(), torch.autocast(waveform.device.type, enabled=False):
            values = self.preprocess(waveform)
        logits: Tensor = self.network(values).logits
        return logits

    @torch.no_grad()
    def embed(self, waveform: Tensor) -> Tensor:
        """What the head hears of (batch, samples): (batch, layers, dim), the mean over time of every
        layer where it weighs layers, else of the last one alone."""
        every = weighs_layers(self.network)
        outputs = backbone(self.network)(self.preprocess(waveform), output_hidden_states=every)
        if every:
            return torch.stack([layer.mean(1) for layer in outputs.hidden_states], 1)
        pooled = outputs.get("pooler_output")  # AST has its own way
        embedding: Tensor = outputs.last_hidden_state.mean(1) if pooled is None else pooled
        return embedding[:, None]


class FrozenHead(nn.Module):
    """A Hugging Face network's head, alone: its mean over time is taken already, in the embeddings."""

    def __init__(self, network: PreTrainedModel, config: Config) -> None:
        super().__init__()
        self.config = config
        theirs: Any = network
        self.layer_weights: nn.Parameter | None = getattr(theirs, "layer_weights", None)
        self.projector: nn.Module = getattr(theirs, "projector", nn.Identity())  # AST has none
        self.classifier: nn.Module = theirs.classifier

    def forward(self, embeddings: Tensor) -> Tensor:
        """(batch, layers, dim) to logits (batch, num_classes)."""
        if self.layer_weights is None:
            pooled = embeddings[:, 0]
        else:
            weights = self.layer_weights.softmax(0).expand(len(embeddings), 1, -1)
            pooled = torch.bmm(weights, embeddings)[:, 0]  # twice as fast as a product and a sum
        # The projector is linear, so it may follow the mean over time as well as come before it.
        logits: Tensor = self.classifier(self.projector(pooled))
        return logits


def build(config: Config, num_classes: int) -> Pretrained | FrozenHead:
    """The checkpoint's network, its head made anew if it has not `num_classes` classes; or,
    where config holds hf_config and preprocessor, the same network without its weights.

    Returns:
        A model of waveforms; with tune: frozen, of embeddings.

    Raises:
        KagglekitError: the checkpoint is neither a folder nor on the hub.
        ConfigError: the checkpoint is of a kind that we cannot use.
    """
    if config.hf_config is not None and config.tune == "frozen":
        return _bare_head(config, num_classes)
    model = whole(config, num_classes)
    if config.tune == "frozen":
        return FrozenHead(model.network, model.config)
    if config.tune == "partial":
        _freeze_below(model.network, config.layers)
    return model


def whole(config: Config, num_classes: int) -> Pretrained:
    """`build` of the whole network, frozen or not."""
    name = config.checkpoint or "(no name)"
    if config.hf_config is None:
        network, preprocessor = _read(hub.find(name), name, config, num_classes)
        hf_config = json.loads(network.config.to_json_string(use_diff=False))
        config = config.model_copy(update={"hf_config": hf_config, "preprocessor": preprocessor})
    else:
        network = _unfilled(config.hf_config, num_classes)
    assert config.preprocessor is not None
    return Pretrained(network, input_of(config.preprocessor, name), config)


def embedder(config: Config) -> Pretrained:
    """The checkpoint's network; its head, for which the number of classes is, is not used."""
    return whole(config.model_copy(update={"hf_config": None, "preprocessor": None}), num_classes=2)


def embeds(config: Config) -> Any:
    """What shapes embeddings: the checkpoint's files, and the layers that are kept.

    Raises:
        KagglekitError: there is no such checkpoint.
    """
    assert config.checkpoint is not None
    return hub.fingerprint(hub.find(config.checkpoint)), config.model_dump(
        include={"layer_weights", "context_s"}
    )


def search_space(trial: Trial) -> dict[str, Any]:
    """Nothing: how much of a network is tuned decides the cost, and is the user's to choose."""
    return {}


def backbone(network: PreTrainedModel) -> nn.Module:
    """The network below its head."""
    return next(child for name, child in network.named_children() if name not in HEAD)


def weighs_layers(model: nn.Module) -> bool:
    """Whether its head hears a weighted sum of all layers."""
    return getattr(model, "layer_weights", None) is not None


def to_hf(model: Pretrained | FrozenHead, folder: Path) -> None:
    """Save network and feature extractor as a Hugging Face checkpoint, for use without kagglekit.

    Args:
        model: built by `build`; the network of a FrozenHead is read from its checkpoint.
        folder: made by this call; must not exist.
    """
    if isinstance(model, FrozenHead):
        head = model
        config = head.config.model_copy(update={"hf_config": None, "preprocessor": None})
        assert head.config.hf_config is not None
        model = whole(config, len(head.config.hf_config["id2label"]))
        model.network.load_state_dict(head.state_dict(), strict=False)
    settings = model.config.preprocessor
    assert settings is not None
    unfinished = folder.with_name(folder.name + ".part")
    shutil.rmtree(unfinished, ignore_errors=True)
    with _quiet():
        model.network.save_pretrained(unfinished)
        INPUTS[settings["feature_extractor_type"]][1].from_dict(settings).save_pretrained(unfinished)
    move_into_place(unfinished, folder)


def _read(
    folder: Path, name: str, config: Config, num_classes: int
) -> tuple[PreTrainedModel, dict[str, Any]]:
    """Network with weights, and the feature extractor's settings."""
    try:
        with _quiet():
            extractor = AutoFeatureExtractor.from_pretrained(  # type: ignore[no-untyped-call]
                folder, trust_remote_code=False
            )
            settings = AutoConfig.from_pretrained(folder, trust_remote_code=False, num_labels=num_classes)
            if config.layer_weights is not None:
                _set_layer_weights(settings, config.layer_weights, name)
            network, loaded = AutoModelForAudioClassification.from_pretrained(
                folder,
                config=_trusted(settings),
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
        _even(network)
    hear_two_tokens(network)
    preprocessor = json.loads(extractor.to_json_string())
    if config.context_s is not None:
        _shorten(network, preprocessor, config.context_s, name)
    return network, preprocessor


def _set_layer_weights(settings: Any, wanted: bool, name: str) -> None:
    if wanted and not hasattr(settings, "use_weighted_layer_sum"):
        raise ConfigError(
            f"layer_weights: checkpoint '{name}', of type {settings.model_type}, has a head that hears "
            "the last layer alone",
            hint="leave layer_weights out",
        )
    settings.use_weighted_layer_sum = wanted


def _check_backbone(loaded: Mapping[str, Any], name: str) -> None:
    """A new head is expected; a backbone of random weights would be trained without a word."""
    absent = [*loaded["missing_keys"], *(key for key, *_ in loaded["mismatched_keys"])]
    lost = [key for key in absent if key.split(".")[0] not in HEAD and "masked_spec" not in key]
    if lost:
        raise ConfigError(
            f"checkpoint '{name}' lacks {len(lost)} weights of its network, such as {lost[0]}",
            hint="its config.json and its weights do not belong together",
        )


def _shorten(network: Any, preprocessor: dict[str, Any], seconds: int, name: str) -> None:
    """Leave Whisper the first `seconds` of its positions, so that it need not hear padding."""
    if network.config.model_type != "whisper":
        raise ConfigError(
            f"context_s: checkpoint '{name}', of type {network.config.model_type}, hears clips of any length",
            hint="leave context_s out; it is for Whisper",
        )
    positions = network.encoder.embed_positions.weight[: seconds * POSITIONS_PER_S].detach().clone()
    network.encoder.embed_positions = nn.Embedding(len(positions), positions.shape[1], _weight=positions)
    network.encoder.embed_positions.requires_grad_(False)
    network.encoder.max_source_positions = network.config.max_source_positions = len(positions)
    preprocessor["chunk_length"] = len(positions) // POSITIONS_PER_S


def _unfilled(hf_config: Mapping[str, Any], num_classes: int) -> PreTrainedModel:
    """A network of these settings with random weights."""
    settings = AutoConfig.for_model(**{**hf_config, **_labels(hf_config, num_classes)})
    network = AutoModelForAudioClassification.from_config(  # type: ignore[no-untyped-call]
        _trusted(settings), dtype=torch.float32
    )
    hear_two_tokens(network)
    return cast(PreTrainedModel, network)


def _bare_head(config: Config, num_classes: int) -> FrozenHead:
    """A head with random weights; the network below it, hundreds of megabytes, is only thought of."""
    assert config.hf_config is not None
    with torch.device("meta"):
        network = _unfilled(config.hf_config, num_classes)
    head = FrozenHead(network, config).to_empty(device="cpu")
    for module in head.modules():
        network._init_weights(module)  # type: ignore[no-untyped-call]
    if weighs_layers(head):
        _even(head)
    return head


def _even(model: Any) -> None:
    """All layers weigh the same, as transformers has it in a new network."""
    nn.init.constant_(model.layer_weights, 1 / len(model.layer_weights))


def _freeze_below(network: PreTrainedModel, layers: int) -> None:
    """Train the last `layers` and the head."""
    names = ("layers", "layer")  # SEW-D has the latter
    body = backbone(network)
    stack = next(module for name, module in body.named_modules() if name.rpartition(".")[2] in names)
    assert isinstance(stack, nn.ModuleList)
    if layers > len(stack):
        raise ConfigError(
            f"layers is {layers}, the network has {len(stack)}", hint="set tune: full to train all of them"
        )
    body.requires_grad_(False)
    front = getattr(body, "feature_extractor", None)
    if front is not None:  # else it asks for the gradient of its input, through all that is frozen
        front._freeze_parameters()
    for layer in stack[-layers:]:
        layer.requires_grad_(True)


def _labels(hf_config: Mapping[str, Any], num_classes: int) -> dict[str, Any]:
    """Keep the labels' names unless their number changes."""
    if len(hf_config["id2label"]) == num_classes:
        return {}
    return {"num_labels": num_classes, "id2label": None, "label2id": None}


def _trusted(settings: Any) -> Any:
    """Nothing that names code to be fetched: the attention is torch's, whatever config.json asks for."""
    settings._attn_implementation = None
    return settings


@contextmanager
def _quiet() -> Iterator[None]:
    """transformers tells of a new head, of empty mel filters and of every file it reads: all expected."""
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
