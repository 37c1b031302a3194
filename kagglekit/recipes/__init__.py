"""Shipped settings by name: the experiments of the report that this project began with, and our own best.

A recipe is a YAML file:
    about     one line
    model     a name in the registry
    report    what the report says came of it; absent for those that are not the report's
    settings  of competition.yaml: `train`, `features`, `model` and `checkpoint` are this model's, others such
              as `labels` stand at the top

Settings are overlaid like --set: stronger than competition.yaml, weaker than a --set of the caller's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from kagglekit import models
from kagglekit.config import Config, ModelSection, Section
from kagglekit.config.load import load_config
from kagglekit.config.yaml_file import read_yaml
from kagglekit.errors import ConfigError, close_match

FOLDER = Path(__file__).parent
SUFFIX = ".yaml"
WHERE = re.compile(r"^ *(--set|\S+:\d+) ")  # a place in another file than the recipe's


class Recipe(Section):
    """What to train, and how."""

    name: str
    about: Annotated[str, Field(max_length=100)]
    model: str
    report: str | None = None
    settings: Mapping[str, Any] = Field(default_factory=dict)

    @property
    def source(self) -> str:
        """What a run keeps of where its settings came from."""
        return f"recipe {self.name}"


def names() -> list[str]:
    """The shipped recipes, the report's first."""
    found = [path.stem for path in FOLDER.glob(f"*{SUFFIX}")]
    return sorted(found, key=lambda name: (load(name).report is None, name))


def load(name: str) -> Recipe:
    """A shipped recipe by its name, or anyone's by the path of its file.

    Raises:
        ConfigError: there is no such recipe, or its file is not one.
    """
    path = Path(name) if name.endswith(SUFFIX) else FOLDER / f"{name}{SUFFIX}"
    if not path.is_file():
        known = [file.stem for file in FOLDER.glob(f"*{SUFFIX}")]
        raise ConfigError(f"there is no recipe '{name}'", hint=close_match(path.stem, known))
    _, content = read_yaml(path)
    try:
        recipe = Recipe(**{**content, "name": path.stem})
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ConfigError(
            f"{path} is no recipe: {problems}", hint="a recipe has about, model and settings"
        ) from error
    models.info(recipe.model)
    return recipe


def configure(path: Path | None, recipe: Recipe, overrides: Sequence[str] = ()) -> Config:
    """competition.yaml with the recipe's settings.

    Args:
        path: of competition.yaml, as load.load_config takes it.
        recipe: whose settings override it.
        overrides: `a.b=value` strings from --set, which override both.

    Raises:
        ConfigError: competition.yaml has a problem, or the recipe has.
    """
    load_config(path, overrides)  # a problem of its own is told first
    section = f"models.{recipe.model.removeprefix(models.CASCADE)}."
    try:
        return load_config(path, [*_settings(recipe.settings, section), *overrides])
    except ConfigError as error:
        problems = [WHERE.sub("", line) for line in str(error).splitlines()[1:]]
        raise ConfigError(
            f"recipe {recipe.name}: {'; '.join(problems) or error}", hint="correct the recipe's settings"
        ) from error


def _settings(tree: Mapping[str, Any], section: str) -> Iterator[str]:
    """`a.b=value` strings of a recipe's settings."""
    for key, value in tree.items():
        yield from _leaves(f"{section}{key}" if key in ModelSection.model_fields else key, value)


def _leaves(dotted: str, value: Any) -> Iterator[str]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(f"{dotted}.{key}", inner)
    else:
        yield f"{dotted}={json.dumps(value)}"  # JSON is YAML
