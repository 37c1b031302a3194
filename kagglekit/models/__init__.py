"""The architectures, by name. An architecture's module is imported only when it is chosen.

An architecture is one line in kagglekit.config.names.MODELS and one file with
    Config                      its settings, `models.<name>.model` in competition.yaml
    build(config, num_classes)  a torch module with `.config`; logits (batch, num_classes) from its input
    search_space(trial)         the fields of Config that a search varies
    DEFAULTS                    its changes to config.Train
    FEATURES                    optional: the fields of config.Features that its weights require
The networks of another package are one line in kagglekit.config.names.FAMILIES and one file; their Config has
a field `network`, the name behind the prefix.
An architecture with tune: frozen also has
    embedder(config)            the network that computes embeddings (kagglekit.features.embeddings)
    embedding_key(config)       everything that shapes them but the audio, JSON-serialisable
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

from pydantic import ValidationError

from kagglekit.config.base import Section
from kagglekit.config.names import CASCADE as CASCADE
from kagglekit.config.names import FAMILIES, FAMILY_MEMBER, InputKind, ModelInfo
from kagglekit.config.names import MODELS as MODELS
from kagglekit.errors import ConfigError, close_match

if TYPE_CHECKING:
    from torch import nn


WAVEFORM_RATE = 16_000
"""Sample rate of waveform models in Hz."""
FROZEN: dict[str, Any] = {"epochs": 40, "lr": 1e-3, "batch_size": 256}
"""Changes to DEFAULTS for the head of a frozen network, which trains in seconds."""


class Suggester(Protocol):
    """The methods of optuna.Trial that search spaces call."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float: ...

    def suggest_int(self, name: str, low: int, high: int) -> int: ...

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any: ...


class Architecture(Protocol):
    """The interface of an architecture's module."""

    DEFAULTS: dict[str, Any]

    @property
    def Config(self) -> type[Section]: ...

    def build(self, config: Any, num_classes: int) -> nn.Module: ...

    def search_space(self, trial: Suggester) -> dict[str, Any]: ...


def info(name: str) -> ModelInfo:
    """Return the registry's entry for an architecture.

    Raises:
        ConfigError: the name is unknown.
    """
    base = name.removeprefix(CASCADE)
    prefix, member = _family(base)
    if prefix and re.fullmatch(FAMILY_MEMBER, member):
        return FAMILIES[prefix]
    if prefix and re.fullmatch(f"{FAMILY_MEMBER}[.]{FAMILY_MEMBER}", member):  # weights of one network
        network = member.partition(".")[0]
        raise ConfigError(
            f"'{name}' names weights, not a network",
            hint=f"--model {prefix}{network}, with --set models.{prefix}{network}.checkpoint=timm/{member}",
        )
    if base not in MODELS:
        raise ConfigError(f"there is no model '{name}'", hint=close_match(base, (*MODELS, "timm:resnet18")))
    return MODELS[base]


def _family(name: str) -> tuple[str, str]:
    """Split `timm:resnet18` into ("timm:", "resnet18"); any other name into ("", name)."""
    prefix = next((prefix for prefix in FAMILIES if name.startswith(prefix)), "")
    return prefix, name.removeprefix(prefix)


def input_kind(name: str, params: Mapping[str, Any]) -> InputKind:
    """Return a model's input: ModelInfo.input, or embeddings if `params` freeze the network."""
    return InputKind.EMBEDDING if params.get("tune") == "frozen" else info(name).input


def defaults(name: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the changes that a model with these parameters makes to config.Train."""
    frozen = input_kind(name, params) is InputKind.EMBEDDING
    return load(name).DEFAULTS | (FROZEN if frozen else {})


def needed_features(name: str) -> dict[str, Any]:
    """Return the fields of config.Features that the architecture's pretrained weights require."""
    return dict(getattr(load(name), "FEATURES", {}))


def load(name: str) -> Architecture:
    """Import an architecture's module; for `cascade-NAME`, wrap NAME's.

    Raises:
        ConfigError: the name is unknown.
    """
    architecture = cast(Architecture, import_module(info(name).module))
    if name.startswith(CASCADE):
        cascade = import_module("kagglekit.models.cascade")
        return cast(Architecture, cascade.CascadeArchitecture(architecture))
    return architecture


def configure(name: str, params: Mapping[str, Any]) -> Section:
    """Validate `params` and return the architecture's Config.

    Raises:
        ConfigError: parameters are unknown, of a wrong type or impossible; one message names all of them.
    """
    architecture = load(name)
    values = dict(params)
    if info(name).checkpoint and values.get("checkpoint") is None:
        values["checkpoint"] = info(name).checkpoint
    prefix, member = _family(name.removeprefix(CASCADE))
    if prefix and values.setdefault("network", member) != member:
        raise ConfigError(
            f"models.{name}.model.network is {values['network']!r}, but the name says '{member}'",
            hint="leave it out",
        )
    try:
        return architecture.Config(**values)
    except ValidationError as error:
        problems = "; ".join(_explain(name, problem, architecture.Config) for problem in error.errors())
        fields = ", ".join(architecture.Config.model_fields)
        raise ConfigError(problems, hint=f"parameters of {name}: {fields}") from error


def build(name: str, params: Mapping[str, Any], num_classes: int) -> nn.Module:
    """Build a model from the parameters of its Config.

    Returns:
        A module from its input (`input_kind`) to logits (batch, num_classes). Its `.config`, together with
        the name and the weights, rebuilds the model.

    Raises:
        ConfigError: the name is unknown, or `configure` rejects the parameters.
    """
    return load(name).build(configure(name, params), num_classes)


def _explain(name: str, problem: Mapping[str, Any], section: type[Section]) -> str:
    """Shorten one of pydantic's problems to a line that begins with the dotted path."""
    path = ".".join(("models", name, "model", *map(str, problem["loc"])))
    if problem["type"] == "extra_forbidden":
        return f"{path}: no such parameter, {close_match(str(problem['loc'][-1]), section.model_fields)}"
    message = str(problem["msg"]).removeprefix("Value error, ")
    if not problem["loc"]:  # a problem of several fields, which the message names
        return f"{path}: {message}"
    return f"{path}: {message[:1].lower()}{message[1:]}, not {problem['input']!r}"
