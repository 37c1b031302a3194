"""The names in config/names.py are those of the registries in the rooms to the right."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from kagglekit.config.names import DECISIONS, HOSTS, METHODS, MODELS
from kagglekit.ensemble import decisions, methods


@pytest.mark.parametrize("module", sorted({*HOSTS.values(), *(info.module for info in MODELS.values())}))
def test_modules_exist(module: str) -> None:
    assert find_spec(module) is not None


def test_blending_methods() -> None:
    assert tuple(methods.METHODS) == METHODS


def test_decisions() -> None:
    assert tuple(decisions.DECISIONS) == DECISIONS
