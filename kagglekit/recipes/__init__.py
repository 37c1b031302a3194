"""Recipes: shipped settings by name. Some repeat the experiments of docs/report.md, others are our best.

A recipe is a YAML file:
    about     a description in one line
    model     name of the architecture in the registry
    report    the result in the report; absent for recipes that are not from the report
    settings  as in competition.yaml; `train`, `features`, `model` and `checkpoint` apply to this model,
              others such as `labels` to the competition

A recipe overrides competition.yaml, and --set overrides the recipe.
"""

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
WHERE = re.compile(r"^ *(--set|\S+:\d+) ")  # the place in competition.yaml, which is not the recipe's file


class Recipe(Section):
    """An architecture and its settings."""

    name: str
    about: Annotated[str, Field(max_length=100)]
    model: str
    report: str | None = None
    settings: Mapping[str, Any] = Field(default_factory=dict)

    @property
    def source(self) -> str:
        """The origin of the settings, as a run records it."""
        return f"recipe {self.name}"


def names() -> list[str]:
    """Return the names of the shipped recipes, those of the report first."""
    shipped = (path.stem for path in FOLDER.glob(f"*{SUFFIX}"))
    return sorted(shipped, key=lambda name: (load(name).report is None, name))


def load(name: str) -> Recipe:
    """Read a shipped recipe by its name, or another one by the path of its YAML file.

    Raises:
        ConfigError: there is no such recipe, or the file is not a recipe.
    """
    path = Path(name) if name.endswith(SUFFIX) else FOLDER / f"{name}{SUFFIX}"
    if not path.is_file():
        raise ConfigError(f"there is no recipe '{name}'", hint=close_match(path.stem, names()))
    _, content = read_yaml(path)
    try:
        recipe = Recipe(**{**content, "name": path.stem})
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ConfigError(
            f"{path} is not a recipe: {problems}", hint="a recipe has about, model and settings"
        ) from error
    models.info(recipe.model)
    return recipe


def configure(path: Path | None, recipe: Recipe, overrides: Sequence[str] = ()) -> Config:
    """Read competition.yaml with the recipe's settings, and with `a.b=value` strings that override both.

    Raises:
        ConfigError: competition.yaml or the recipe has a problem.
    """
    load_config(path, overrides)  # reports a problem of competition.yaml before one of the recipe
    section = f"models.{recipe.model.removeprefix(models.CASCADE)}."
    settings = {
        f"{section}{key}" if key in ModelSection.model_fields else key: value
        for key, value in recipe.settings.items()
    }
    try:
        return load_config(path, [*_leaves(settings), *overrides])
    except ConfigError as error:
        problems = [WHERE.sub("", line) for line in str(error).splitlines()[1:]]
        raise ConfigError(
            f"recipe {recipe.name}: {'; '.join(problems) or error}", hint="correct the recipe's settings"
        ) from error


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Return nested settings as `a.b=value` strings."""
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}={json.dumps(value)}"  # JSON is YAML
