"""Rewrite a competition.yaml of the first edition with the second edition's keys, comments kept."""

import io
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from kagglekit.config import Config, first_edition
from kagglekit.config.load import load_config
from kagglekit.config.yaml_file import dump, parse, read_yaml
from kagglekit.errors import ConfigError
from kagglekit.files.atomic import write_bytes, write_text

OLD = ".first-edition"
MOVED = {"targets": "classes", "sample_submission": "sample", "noise_clips": "noise"}
"""Keys of the first edition that have another name now, in the same section."""


def upgrade_file(path: Path) -> Path:
    """Rewrite a file, and return where the old one is kept, beside it.

    Raises:
        ConfigError: it has problems, is of the second edition, or was upgraded before.
    """
    load_config(path)
    _, raw = read_yaml(path)
    if not first_edition.is_first_edition(raw):
        raise ConfigError(f"{path} is of the second edition already", hint="nothing was written")
    kept = path.with_name(path.name + OLD)
    if kept.exists():
        raise ConfigError(
            f"{kept} exists already, and would be overwritten", hint="move it to another folder"
        )
    sections = first_edition.upgrade({key: value for key, value in raw.items() if value is not None})
    text = _with_comments(path.read_text(encoding="utf-8"), sections)
    if _config(parse(text)[1], path) != load_config(path):  # a comment in a place that YAML reads otherwise
        text = dump(sections)
    write_bytes(kept, path.read_bytes())
    write_text(path, text)
    return kept


def _config(sections: Any, path: Path) -> Config:
    return Config.model_validate(sections, context={"root": path.resolve().parent})


def _with_comments(old: str, sections: dict[str, Any]) -> str:
    """Return the new sections as YAML, with the comments of keys that are still there."""
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 10_000
    yaml.indent(mapping=2, sequence=4, offset=2)
    content = yaml.load(old)
    for place, (name, section) in enumerate(sections.items()):
        before = content.get(name)
        if name not in content:
            content.insert(min(place, len(content)), name, section)
        elif before != section:
            content[name] = _section(before, section)
    text = io.StringIO()
    yaml.dump(content, text)
    return text.getvalue()


def _section(before: Any, section: Any) -> Any:
    """Return a new section with the comments at the ends of those lines whose keys are still there."""
    if not isinstance(before, CommentedMap) or not isinstance(section, dict):
        return section
    new = CommentedMap()
    names = {MOVED.get(key, key): key for key in before}
    stay = all(name in section for name in names)  # then in their order; else in that of the second edition
    for key in dict.fromkeys([*(names if stay else ()), *section]):
        value, old_key = section[key], names.get(key)
        same = old_key is not None and before[old_key] == value
        new[key] = before[old_key] if same else value
        if same and old_key in before.ca.items:
            new.ca.items[key] = before.ca.items[old_key]
    new.ca.comment = before.ca.comment
    if before.fa.flow_style():
        new.fa.set_flow_style()
    return new
