"""Write a draft's sections as YAML, each guess with its reason at the end of its line."""

import io
from collections.abc import Mapping
from typing import Any, NamedTuple

from ruamel.yaml import YAML


class Guess(NamedTuple):
    """A value of which the draft is not sure."""

    value: Any
    why: str


def yaml_text(sections: Mapping[str, Any]) -> str:
    """Return sections, lists of sections, scalars and guesses of them as YAML."""
    return "\n".join(_lines(sections, 0)) + "\n"


def one_line(text: str) -> str:
    """Return a host's text without what would end a comment, or is no plain character."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:150]


def plain(value: Any) -> Any:
    """Return sections without the marks of guesses."""
    if isinstance(value, Guess):
        return plain(value.value)
    if isinstance(value, Mapping):
        return {key: plain(one) for key, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list) else value


def _lines(section: Mapping[str, Any], indent: int) -> list[str]:
    lines = []
    for key, given in section.items():
        value, why = given if isinstance(given, Guess) else (given, "")
        mark = f"  # check: {one_line(why)}" if why else ""
        start = " " * indent + f"{_flow(key)}:"
        if isinstance(value, Mapping) and indent == 0:
            lines += [start + mark, *_lines(value, 2)]
        elif isinstance(value, Mapping) and (key in ("train", "test", "local") or _guesses(value)):
            lines += [start + mark, *_lines(value, indent + 2)]
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            lines.append(start + mark)
            for one in value:
                first, *rest = _lines(one, indent + 4)
                lines += [" " * (indent + 2) + "- " + first.lstrip(), *rest]
        else:
            lines.append(f"{start} {_flow(plain(value))}{mark}")
    return lines


def _guesses(value: Any) -> bool:
    return isinstance(value, Mapping) and any(isinstance(one, Guess) for one in value.values())


def _flow(value: Any) -> str:
    """Return a value on one line."""
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = True
    yaml.width = 1_000_000
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    text = io.StringIO()
    yaml.dump(value, text)
    return text.getvalue().removesuffix("\n").removesuffix("\n...")
