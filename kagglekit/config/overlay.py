"""Merge layers of settings, where later layers override earlier ones."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from kagglekit.config.base import Section
from kagglekit.errors import ConfigError

Settings = TypeVar("Settings", bound=Section)


def overlay(base: Settings, *layers: Section | Mapping[str, Any]) -> Settings:
    """Return `base` with the explicitly set fields of each layer, nested sections merged.

    Raises:
        ConfigError: a mapping has an unknown key or an impossible value.
    """
    merged = base.model_dump()
    for layer in layers:
        _merge(merged, layer.model_dump(exclude_unset=True) if isinstance(layer, Section) else layer)
    try:
        return type(base).model_validate(merged)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise ConfigError("; ".join(problems), hint="see the settings in README.md") from error


def _merge(into: dict[str, Any], layer: Mapping[str, Any]) -> None:
    for key, value in layer.items():
        if isinstance(value, Mapping) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value
