"""Write a competition.yaml where none is, list the shipped ones, and write the JSON schema."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from kagglekit import competitions
from kagglekit.config import Config
from kagglekit.config.load import DEFAULT_NAME
from kagglekit.config.yaml_file import parse
from kagglekit.errors import ConfigError
from kagglekit.files.atomic import write_text

CHECK = "# check"


class Written(NamedTuple):
    """A competition.yaml that has been written."""

    path: Path
    checks: list[str]
    """Its lines that are guesses, each with its number."""


def target(path: Path | None, force: bool) -> Path:
    """Return the file to write.

    Raises:
        ConfigError: it exists, and `force` is not set.
    """
    path = Path(DEFAULT_NAME) if path is None else path
    if path.exists() and not force:
        raise ConfigError(f"{path} exists already", hint="write another file with -C FILE, or set --force")
    return path


def write_new(path: Path, text: str) -> Written:
    """Write the text of a competition.yaml."""
    write_text(path, text)
    lines = enumerate(text.splitlines(), 1)
    return Written(path, [f"{path.name}:{number} {line.strip()}" for number, line in lines if CHECK in line])


def like(name: str, path: Path | None = None, *, force: bool = False) -> Written:
    """Copy a shipped competition.yaml.

    Raises:
        ConfigError: there is none of that name, or the file exists.
    """
    text = competitions.read(name)
    return write_new(target(path, force), text)


def shipped() -> list[dict[str, Any]]:
    """Describe the shipped competitions: name, slug, what it asks for, metric, labels, shape, delivery."""
    rows = []
    for name in competitions.names():
        text = competitions.read(name)
        _, sections = parse(text)
        competition, metric = sections["competition"], sections["competition"].get("metric", "accuracy")
        about = text.partition("\n")[0].removeprefix("#").strip()
        rows.append(
            {
                "name": name,
                "slug": competition["slug"],
                "metric": metric["name"] if isinstance(metric, dict) else metric,
                "labels": sections["labels"].get("kind", "single"),
                "shape": sections["submission"].get("shape", "label"),
                "delivery": competition.get("delivery", "csv"),
                "about": about,
            }
        )
    return rows


def named_for(slug: str) -> str | None:
    """Return the name of the shipped competition.yaml of a competition, or None."""
    return next((row["name"] for row in shipped() if row["slug"] == slug), None)


def write_schema(path: Path) -> None:
    """Write the JSON schema of competition.yaml, by which editors complete and check it."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Config.model_json_schema()}
    write_text(path, json.dumps(schema, indent=1, ensure_ascii=False) + "\n")
