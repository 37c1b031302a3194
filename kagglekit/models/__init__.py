"""The architectures, by name. An architecture's module is imported only when it is chosen.

An architecture is one file with
    Config                      its settings, `models.<name>.model` in competition.yaml
    build(config, num_classes)  a torch module with `.config`; logits (batch, num_classes) from its input
    search_space(trial)         the fields of Config that a search tries
    DEFAULTS                    what it changes of config.Train
    FEATURES                    log-mels that its weights need, whatever the config says; left out: any
and one line in kagglekit.config.names.MODELS.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

from pydantic import ValidationError

from kagglekit.config.base import Section
from kagglekit.config.names import CASCADE as CASCADE
from kagglekit.config.names import MODELS as MODELS
from kagglekit.config.names import InputKind, ModelInfo
from kagglekit.errors import ConfigError, close_match

if TYPE_CHECKING:
    from optuna import Trial
    from torch import nn


WAVEFORM_RATE = 16_000
"""Hz, of the clips that pretrained models hear."""


FROZEN: dict[str, Any] = {"epochs": 40, "lr": 1e-3, "batch_size": 256}
"""What the head of a frozen network changes of its DEFAULTS: it trains in seconds."""


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


def input_kind(name: str, params: Mapping[str, Any]) -> InputKind:
    """The input of a model with these parameters: its ModelInfo.input, or embeddings for the head of a
    frozen network."""
    return InputKind.EMBEDDING if params.get("tune") == "frozen" else info(name).input


def defaults(name: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """What a model with these parameters changes of config.Train."""
    frozen = input_kind(name, params) is InputKind.EMBEDDING
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
