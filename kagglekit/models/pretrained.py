"""Any Hugging Face audio network: AST, wav2vec 2.0, HuBERT, WavLM, the encoder of Whisper, ...

Papers: AST, Gong, Chung, Glass 2021, https://arxiv.org/abs/2104.01778; wav2vec 2.0, Baevski, Zhou,
Mohamed, Auli 2020, https://arxiv.org/abs/2006.11477; HuBERT, Hsu et al. 2021,
https://arxiv.org/abs/2106.07447; WavLM, Chen et al. 2021, https://arxiv.org/abs/2110.13900; Whisper,
Radford et al. 2022, https://arxiv.org/abs/2212.04356; learned weights of the layers over a frozen
network, SUPERB, Yang et al. 2021, https://arxiv.org/abs/2105.01051.
Reference code: huggingface/transformers, whose networks these are.

What we changed: the checkpoint's feature extractor runs inside the model, batched in torch. Config holds the
settings of extractor and network, so Config and our weights rebuild the model without the checkpoint. With
tune: frozen the model is the head alone, over embeddings that are computed once
(kagglekit/features/embeddings.py); its logits equal those of the whole network.
"""

import json
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from transformers import PreTrainedModel

from kagglekit.config.base import Count, Section
from kagglekit.models import Suggester, hf_network, hub
from kagglekit.models.extractors import EXTRACTORS, build_extractor
from kagglekit.models.hf_network import backbone, weighs_layers

DEFAULTS: dict[str, Any] = {
    # transformers' examples/pytorch/audio-classification: 98.3 % on keyword spotting after 5 epochs.
    "epochs": 5,
    "lr": 3e-5,
    "bf16": False,  # logits equal to the Hugging Face pipeline's
    "batch_size": 32,  # a base-sized network with its gradients and activations in 8 GB
}


class Config(Section):
    """Settings of a pretrained model."""

    checkpoint: str | None = None
    """Hub name or local folder."""
    tune: Literal["full", "partial", "frozen"] = "full"
    """What is trained besides the head: the whole network, its last layers, or nothing. With frozen,
    embeddings of all clips are computed once, without augmentation."""
    layers: Count = 2
    """Number of the last layers that tune: partial trains."""
    layer_weights: bool | None = None
    """Give the head a learned weighted sum of all layers, as in SUPERB, instead of the last layer alone.
    null: as the checkpoint has it."""
    context_s: Annotated[int, Field(ge=1, le=30)] | None = None
    """Whisper's input in seconds; 1 is 30 times as fast as the 30 of its pretraining.
    null: as the checkpoint has it."""
    embeddings: Literal["float16", "float32"] = "float16"
    """Type in which tune: frozen stores embeddings."""
    hf_config: dict[str, Any] | None = None
    """The network's settings, filled in by `build`; they replace the checkpoint."""
    preprocessor: dict[str, Any] | None = None
    """The feature extractor's settings, filled in by `build`."""

    @model_validator(mode="after")
    def _can_be_built(self) -> Self:
        if (self.hf_config is None) != (self.preprocessor is None):
            raise ValueError("hf_config and preprocessor go together")
        if self.hf_config is None and self.checkpoint is None:
            raise ValueError("checkpoint is missing: a hub name or a local folder")
        return self


class Pretrained(nn.Module):
    """A Hugging Face network with its feature extractor."""

    def __init__(self, network: PreTrainedModel, preprocess: nn.Module, config: Config) -> None:
        super().__init__()
        self.network = network
        self.preprocess = preprocess
        self.config = config

    def forward(self, waveform: Tensor) -> Tensor:
        """Waveforms (batch, samples) in [-1, 1] at 16 kHz to logits (batch, num_classes)."""
        # In float32 even if the network runs in bfloat16, whose 3 digits are too few for a power spectrum.
        with torch.no_grad(), torch.autocast(waveform.device.type, enabled=False):
            values = self.preprocess(waveform)
        logits: Tensor = self.network(values).logits
        return logits

    @torch.no_grad()
    def embed(self, waveform: Tensor) -> Tensor:
        """Return the head's input for (batch, samples): (batch, layers, dim), means over time, of all layers
        if the head weighs them, else of the last one alone."""
        every = weighs_layers(self.network)
        outputs = backbone(self.network)(self.preprocess(waveform), output_hidden_states=every)
        if every:
            return torch.stack([layer.mean(1) for layer in outputs.hidden_states], 1)
        pooled = outputs.get("pooler_output")  # AST pools differently
        embedding: Tensor = outputs.last_hidden_state.mean(1) if pooled is None else pooled
        return embedding[:, None]


class FrozenHead(nn.Module):
    """The head of a Hugging Face network, without its mean over time, which the embeddings contain."""

    def __init__(self, network: PreTrainedModel, config: Config) -> None:
        super().__init__()
        self.config = config
        parts: Any = network
        self.layer_weights: nn.Parameter | None = getattr(parts, "layer_weights", None)
        self.projector: nn.Module = getattr(parts, "projector", nn.Identity())  # AST has none
        self.classifier: nn.Module = parts.classifier

    def forward(self, embeddings: Tensor) -> Tensor:
        """(batch, layers, dim) to logits (batch, num_classes)."""
        if self.layer_weights is None:
            pooled = embeddings[:, 0]
        else:
            weights = self.layer_weights.softmax(0).expand(embeddings.shape[0], 1, -1)
            pooled = torch.bmm(weights, embeddings)[:, 0]  # twice as fast as a product and a sum
        # The projector is linear: before or after the mean over time, the result is the same.
        logits: Tensor = self.classifier(self.projector(pooled))
        return logits


def build(config: Config, num_classes: int) -> Pretrained | FrozenHead:
    """Build the model, with the checkpoint's weights unless config holds hf_config and preprocessor.

    Returns:
        A model of waveforms; with tune: frozen, of embeddings. A head for another number of classes than the
        checkpoint's has random weights.

    Raises:
        KagglekitError: the checkpoint is neither a folder nor on the hub.
        ConfigError: the checkpoint cannot be used.
    """
    if config.hf_config is not None and config.tune == "frozen":
        return _random_head(config, num_classes)
    model = build_whole(config, num_classes)
    if config.tune == "frozen":
        return FrozenHead(model.network, model.config)
    if config.tune == "partial":
        hf_network.freeze_below(model.network, config.layers)
    return model


def build_whole(config: Config, num_classes: int) -> Pretrained:
    """Build the whole network, whatever config.tune says; errors as `build`."""
    name = config.checkpoint or "(no name)"
    if config.hf_config is None:
        network, preprocessor = hf_network.read_checkpoint(
            hub.find(name), name, num_classes, config.layer_weights, config.context_s
        )
        hf_config = json.loads(network.config.to_json_string(use_diff=False))
        config = config.model_copy(update={"hf_config": hf_config, "preprocessor": preprocessor})
    else:
        network = hf_network.random_network(config.hf_config, num_classes)
    assert config.preprocessor is not None
    return Pretrained(network, build_extractor(config.preprocessor, name), config)


def embedder(config: Config) -> Pretrained:
    """Return the checkpoint's network; its head is not used, so the number of classes does not matter."""
    return build_whole(config.model_copy(update={"hf_config": None, "preprocessor": None}), num_classes=2)


def embedding_key(config: Config) -> Any:
    """Return what shapes the embeddings, JSON-serialisable: the checkpoint's files and the layers kept.

    Raises:
        KagglekitError: the checkpoint is neither a folder nor on the hub.
    """
    assert config.checkpoint is not None
    layers = config.model_dump(include={"layer_weights", "context_s"})
    return hub.fingerprint(hub.find(config.checkpoint)), layers


def search_space(trial: Suggester) -> dict[str, Any]:
    """Search nothing: how much of a network is trained decides the cost, which is the user's choice."""
    return {}


def to_hf(model: Pretrained | FrozenHead, folder: Path) -> None:
    """Save network and feature extractor as a Hugging Face checkpoint, for use without kagglekit.

    Args:
        model: built by `build`; the network of a FrozenHead is read from its checkpoint.
        folder: created by this call; must not exist.
    """
    if isinstance(model, FrozenHead):
        head = model
        config = head.config.model_copy(update={"hf_config": None, "preprocessor": None})
        assert head.config.hf_config is not None
        model = build_whole(config, len(head.config.hf_config["id2label"]))
        model.network.load_state_dict(head.state_dict(), strict=False)
    settings = model.config.preprocessor
    assert settings is not None
    extractor = EXTRACTORS[settings["feature_extractor_type"]].original.from_dict(settings)
    hf_network.save(model.network, extractor, folder)


def _random_head(config: Config, num_classes: int) -> FrozenHead:
    """Build a head with random weights; the network below it, hundreds of MB, stays on the meta device."""
    assert config.hf_config is not None
    with torch.device("meta"):
        network = hf_network.random_network(config.hf_config, num_classes)
    head = FrozenHead(network, config).to_empty(device="cpu")
    for module in head.modules():
        network._init_weights(module)  # type: ignore[no-untyped-call]
    if weighs_layers(head):
        hf_network.set_equal_weights(head)
    return head
