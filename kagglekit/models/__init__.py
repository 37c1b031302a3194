"""The architectures, by name. An architecture's module is imported only when it is chosen.

An architecture is one file with
    Config                      its settings, `models.<name>.model` in competition.yaml
    build(config, num_classes)  a torch module with `.config`; logits (batch, num_classes) from its input
    search_space(trial)         the fields of Config that a search tries
    DEFAULTS                    what it changes of config.Train
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


WAVEFORM_RATE = 16_000
"""Hz, of the clips that pretrained models hear."""


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
    "tcresnet": ModelInfo("kagglekit.models.tcresnet", "log_mel", "arXiv:1904.03814"),
    "ast": ModelInfo(
        "kagglekit.models.pretrained",
        "waveform",
        "arXiv:2104.01778",
        checkpoint="MIT/ast-finetuned-speech-commands-v2",
    ),
    "wav2vec2": ModelInfo(
        "kagglekit.models.pretrained", "waveform", "arXiv:2006.11477", checkpoint="facebook/wav2vec2-base"
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
    if name not in MODELS:
        raise ConfigError(f"there is no model '{name}'", hint=close_match(name, MODELS))
    return MODELS[name]


def load(name: str) -> Architecture:
    """Import the module of architecture `name`.

    Raises:
        ConfigError: there is no such architecture.
    """
    return cast(Architecture, import_module(info(name).module))


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
