"""What a search found, as the YAML to keep in competition.yaml."""

from __future__ import annotations

from typing import Any

from kagglekit import models
from kagglekit.config.yaml_file import dump
from kagglekit.data.prepare import Prepared
from kagglekit.search.space import settings
from kagglekit.search.study import finished


def to_keep(prepared: Prepared, model: str) -> tuple[dict[str, Any], str]:
    """The best trial's settings, nested as in competition.yaml, and as YAML with a line about their origin.

    Raises:
        MissingError: no trial has finished.
    """
    found = finished(prepared, model)
    tree = nested(model, settings(found.params))
    about = f"# study {found.name}, trial {found.best} of {found.trials}: CV {found.value:.4f}\n"
    return {"study": found.name, "trial": found.best, "cv": found.value, "settings": tree}, (
        about + dump(tree).rstrip()
    )


def nested(model: str, found: dict[str, Any]) -> dict[str, Any]:
    """{"train.augment.mixup": 0.2} -> {"models": {model: {"train": {"augment": {"mixup": 0.2}}}}}; what is no
    architecture's own stands at the top."""
    tree: dict[str, Any] = {}
    name = model.removeprefix(models.CASCADE)
    for dotted, value in found.items():
        *parents, last = dotted.split(".")
        place = tree
        for parent in parents if parents[0] == "labels" else ["models", name, *parents]:
            place = place.setdefault(parent, {})
        place[last] = value
    return tree
