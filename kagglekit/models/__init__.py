"""The architectures, by name. An architecture's module is imported only when it is chosen.

An architecture is one file with
    Config                      its settings, `models.<name>.model` in competition.yaml
    build(config, num_classes)  a torch module with `.config`; logits (batch, num_classes) from its input
    search_space(trial)         the fields of Config that a search tries
    DEFAULTS                    what it changes of config.Train
    FEATURES                    log-mels that its weights need, whatever the config says; left out: any
and one line in MODELS.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

from pydantic import ValidationError

from kagglekit.config import Section
from kagglekit.errors import ConfigError, close_match

if TYPE_CHECKING:
    from optuna import Trial
    from torch import nn


CASCADE = "cascade-"
"""`cascade-gru` is two networks of gru, one behind the other (cascade.py)."""
WAVEFORM_RATE = 16_000
"""Hz, of the clips that pretrained models hear."""


FROZEN: dict[str, Any] = {"epochs": 40, "lr": 1e-3, "batch_size": 256}
"""What the head of a frozen network changes of its DEFAULTS: it trains in seconds."""


class ModelInfo(NamedTuple):
    """Where an architecture is, and what it hears."""

    module: str
    """Imported only when chosen."""
    input: str
    """log_mel: (batch, n_mels, frames), natural logarithm of the mel power, not normalised;
    waveform: (batch, samples) in [-1, 1] at 16 kHz."""
    source: str
    """Paper."""
    checkpoint: str | None = None
    """Pretrained weights taken where the config names none."""


MODELS: dict[str, ModelInfo] = {
    "convs2s": ModelInfo("kagglekit.models.convs2s", "log_mel", "arXiv:1705.03122"),
    "lstm": ModelInfo("kagglekit.models.lstm", "log_mel", "doi:10.1162/neco.1997.9.8.1735"),
    "gru": ModelInfo("kagglekit.models.gru", "log_mel", "arXiv:1406.1078"),
    "crnn": ModelInfo("kagglekit.models.crnn", "log_mel", "arXiv:1703.05390"),
    "deepspeech2": ModelInfo("kagglekit.models.deepspeech2", "log_mel", "arXiv:1512.02595"),
    "tcresnet": ModelInfo("kagglekit.models.tcresnet", "log_mel", "arXiv:1904.03814"),
    "matchboxnet": ModelInfo("kagglekit.models.matchboxnet", "log_mel", "arXiv:2004.08531"),
    "bcresnet": ModelInfo("kagglekit.models.bcresnet", "log_mel", "arXiv:2106.04140"),
    "kwt": ModelInfo("kagglekit.models.kwt", "log_mel", "arXiv:2104.00769"),
    "resnet": ModelInfo("kagglekit.models.resnet", "log_mel", "arXiv:1512.03385"),
    "speech_embedding": ModelInfo("kagglekit.models.speech_embedding", "log_mel", "arXiv:2002.01322"),
    "ast": ModelInfo(
        "kagglekit.models.pretrained",
        "waveform",
        "arXiv:2104.01778",
        checkpoint="MIT/ast-finetuned-speech-commands-v2",
    ),
    "wav2vec2": ModelInfo(
        "kagglekit.models.pretrained", "waveform", "arXiv:2006.11477", checkpoint="facebook/wav2vec2-base"
    ),
    "hubert": ModelInfo(
        "kagglekit.models.pretrained", "waveform", "arXiv:2106.07447", checkpoint="facebook/hubert-base-ls960"
    ),
    "wavlm": ModelInfo(
        "kagglekit.models.pretrained", "waveform", "arXiv:2110.13900", checkpoint="microsoft/wavlm-base-plus"
    ),
    "whisper": ModelInfo(
        "kagglekit.models.pretrained", "waveform", "arXiv:2212.04356", checkpoint="openai/whisper-tiny"
    ),
    # any checkpoint that the config names; without one, the smallest that is good
    "pretrained": ModelInfo(
        "kagglekit.models.pretrained", "waveform", "arXiv:2110.01900", checkpoint="ntu-spml/distilhubert"
    ),
}


class Architecture(Protocol):
    """What every architecture's module offers."""

    DEFAULTS: dict[str, Any]

    @property
    def Config(self) -> type[Section]: ...

    def build(self, config: Any, num_classes: int) -> nn.Module: ...

    def search_space(self, trial: Trial) -> dict[str, Any]: ...


def info(name: str) -> ModelInfo:
    """The registry's line for `name`.

    Raises:
        ConfigError: there is no such architecture.
    """
    base = name.removeprefix(CASCADE)
    if base not in MODELS:
        raise ConfigError(f"there is no model '{name}'", hint=close_match(base, MODELS))
    return MODELS[base]


def hears(name: str, params: Mapping[str, Any]) -> str:
    """What a model with these parameters is given: its ModelInfo.input, or, where it is the head of a
    frozen network, embedding: (batch, layers, dim), what the network makes of a clip."""
    return "embedding" if params.get("tune") == "frozen" else info(name).input


def defaults(name: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """What a model with these parameters changes of config.Train."""
    frozen = hears(name, params) == "embedding"
    return load(name).DEFAULTS | (FROZEN if frozen else {})


def needed_features(name: str) -> dict[str, Any]:
    """Fields of config.Features that the architecture's pretrained weights dictate."""
    return dict(getattr(load(name), "FEATURES", {}))


def load(name: str) -> Architecture:
    """Import the module of architecture `name`.

    Raises:
        ConfigError: there is no such architecture.
    """
    architecture = cast(Architecture, import_module(info(name).module))
    if name.startswith(CASCADE):
        return import_module("kagglekit.models.cascade").of(architecture)  # type: ignore[no-any-return]
    return architecture


def configure(name: str, params: Mapping[str, Any]) -> Section:
    """Check `params` and make the architecture's Config of them.

    Raises:
        ConfigError: unknown, wrongly typed or impossible parameters, all of them in one message.
    """
    architecture = load(name)
    values = dict(params)
    if info(name).checkpoint and values.get("checkpoint") is None:
        values["checkpoint"] = info(name).checkpoint
    try:
        return architecture.Config(**values)
    except ValidationError as error:
        problems = "; ".join(_explain(name, problem, architecture.Config) for problem in error.errors())
        known = ", ".join(architecture.Config.model_fields)
        raise ConfigError(problems, hint=f"parameters of {name}: {known}") from error


def build(name: str, params: Mapping[str, Any], num_classes: int) -> nn.Module:
    """Build architecture `name` from the parameters of its Config.

    Returns:
        A module with `.config` (the whole Config: name, it and the weights rebuild the model)
        that turns its input (see ModelInfo.input) into logits (batch, num_classes).

    Raises:
        ConfigError: unknown name, or parameters that cannot be.
    """
    return load(name).build(configure(name, params), num_classes)


def _explain(name: str, problem: Mapping[str, Any], section: type[Section]) -> str:
    """One of pydantic's problems in a few words, beginning with its dotted path."""
    path = ".".join(("models", name, "model", *map(str, problem["loc"])))
    if problem["type"] == "extra_forbidden":
        return f"{path}: no such parameter, {close_match(str(problem['loc'][-1]), section.model_fields)}"
    message = str(problem["msg"]).removeprefix("Value error, ")
    if not problem["loc"]:  # several fields together, the message names them
        return f"{path}: {message}"
    return f"{path}: {message[:1].lower()}{message[1:]}, not {problem['input']!r}"
