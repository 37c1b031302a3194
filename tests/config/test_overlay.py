"""Layers of settings: what is set in a later one wins."""

from __future__ import annotations

import pytest

from kagglekit.config import Augment, Train, overlay
from kagglekit.errors import ConfigError


def test_overlay_later_layers_are_stronger() -> None:
    defaults = {"epochs": 80, "lr": 1e-3}
    yaml = Train(lr=2e-2, augment=Augment(gain_db=1))
    made = overlay(Train(), defaults, yaml, {"augment": {"mixup": 0.4}})
    assert (made.epochs, made.lr) == (80, 2e-2)  # only what the YAML sets itself covers the defaults
    assert (made.augment.gain_db, made.augment.mixup, made.augment.shift_ms) == (1, 0.4, 100)
    assert overlay(Train(), yaml, Train(lr=2e-3)).lr == 2e-3  # set to its default is set


@pytest.mark.parametrize("layer", [{"lrr": 1}, {"epochs": 0}, {"augment": {"mixup": -1}}])
def test_overlay_refuses(layer: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(layer))):
        overlay(Train(), layer)
