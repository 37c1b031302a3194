"""YAML 1.2 files: read without aliases and duplicate keys, with the line of every key, and written."""

import codecs
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from kagglekit.errors import ConfigError

SET = "--set"  # the place of a setting from the command line
MAX_BYTES = 1_000_000  # a few kB are expected; a bound keeps a wrong file from being read whole


class _NoAliases(Composer):
    """Refuses aliases: nested ones fill the memory ("billion laughs")."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.parser.check_event(AliasEvent):
            mark = self.parser.peek_event().start_mark
            raise MarkedYAMLError(problem="aliases (*name) are not supported", problem_mark=mark)
        self.anchors = {}  # none is looked up, and ruamel warns where two are equal
        return super().compose_node(parent, index)


class _CoreSchema(SafeConstructor):
    """Knows the core schema of YAML 1.2, in which a date is text; refuses other tags, and equal keys."""

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        problem = ""
        if node.tag not in _TAGS:
            problem = f"the tag {node.tag.replace(_CORE, '!!')} is not supported"
        elif isinstance(node, ScalarNode) and (odd := _ODD.search(node.value)):
            problem = f"the character U+{ord(odd[0]):04X} is not supported"
        elif isinstance(node, ScalarNode) and node.style is None and (odd := _INVISIBLE.search(node.value)):
            problem = f"{_SPACE} U+{ord(odd[0]):04X}"
        elif isinstance(node, ScalarNode) and node.style is None and node.value.startswith(_CURLY):
            problem = _QUOTES
        else:
            try:
                return super().construct_object(node, deep)
            except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):  # of int, float ...
                shown = str(node.value)[:40] if isinstance(node, ScalarNode) else f"a {node.id}"
                problem = f"{shown!r} is no {node.tag.removeprefix(_CORE)}"
        raise MarkedYAMLError(problem=problem, problem_mark=node.start_mark)

    def check_mapping_key(self, node: Any, key_node: Any, mapping: Any, key: Any, value: Any) -> bool:
        problem = ""
        if not isinstance(key_node, ScalarNode):
            problem = "a key must be a word"
        elif key in mapping:
            first = next(k for k, _ in node.value if k.value == key_node.value)
            problem = f"duplicate key '{key}' (first on line {first.start_mark.line + 1})"
        if problem:
            raise MarkedYAMLError(problem=problem, problem_mark=key_node.start_mark)
        return True


_CORE = "tag:yaml.org,2002:"
_TAGS = {f"{_CORE}{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq", "timestamp")}
_ODD = re.compile("[\0\ud800-\udfff]")  # no path and no file may hold them
_INVISIBLE = re.compile("[\u00a0\u2007\u202f\u200b-\u200f\u2060\ufeff\u3000]")
_CURLY = ("\u2018", "\u2019", "\u201a", "\u201b", "\u201c", "\u201d", "\u201e", "\u201f")
_SPACE, _QUOTES = "there is an invisible space,", "curly quotes, which mark nothing"
_CoreSchema.add_constructor("tag:yaml.org,2002:timestamp", SafeConstructor.construct_yaml_str)


def parse(text: str) -> tuple[Node | None, Any]:
    """Return the root node and the value of a YAML document, both None if it is empty.

    Raises:
        YAMLError, ValueError, RecursionError: it is not valid YAML.
    """
    yaml = YAML(typ="safe", pure=True)
    yaml.Composer, yaml.Constructor = _NoAliases, _CoreSchema
    node = yaml.compose(text)
    return node, None if node is None else yaml.constructor.construct_document(node)


def dump(value: Any) -> str:
    """Return plain dicts, lists and scalars as block-style YAML, keys in their order."""
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    text = io.StringIO()
    yaml.dump(value, text)
    return text.getvalue()


def read_yaml(path: Path) -> tuple[Node | None, dict[str, Any]]:
    """Read a file of sections: (its root node, its keys and values).

    Raises:
        ConfigError: the file is missing, larger than MAX_BYTES, or not YAML with sections.
    """
    hint = "name another file: -C FILE"
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)  # a device has no size
        if len(data) > MAX_BYTES:
            raise ConfigError(
                f"{path} has more than {MAX_BYTES:,} bytes, too many for a competition.yaml", hint=hint
            )
        if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or _is_wide(data[:64]):
            raise ConfigError(f"{path} is UTF-16 or UTF-32, not UTF-8", hint=f"save {path} as UTF-8")
        text = data.decode("utf-8")
    except FileNotFoundError:
        hint = "draft it with kagglekit init, go to its folder, or name the file: -C FILE"
        raise ConfigError(f"there is no {path}", hint=hint) from None
    except UnicodeDecodeError as error:
        line, byte = data.count(b"\n", 0, error.start) + 1, data[error.start]
        raise ConfigError(
            f"{path}:{line} is not UTF-8: byte 0x{byte:02x}", hint="save it as UTF-8"
        ) from error
    except (OSError, ValueError) as error:  # a ValueError of a path with a NUL, as a program may give it
        raise ConfigError(f"{path} cannot be read: {error}", hint=hint) from error
    try:
        node, value = parse(text)
    except (YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        number, problem, remedy = _explained(problem_of(error), text.splitlines(), mark.line if mark else -1)
        where = f"{path}:{number + 1}" if mark else str(path)
        raise ConfigError(f"{where} is not YAML: {problem}", hint=f"edit {path}{remedy}") from error
    if not isinstance(value, dict | None):
        raise ConfigError(
            f"{path} contains a {type(value).__name__}, not sections",
            hint="start from the shipped competition.yaml",
        )
    return node, value or {}


def _is_wide(start: bytes) -> bool:
    """Tell whether every second byte of a text is mostly 0, as in UTF-16 without a mark."""
    return any(half.count(0) * 2 > len(half) for half in (start[::2], start[1::2]))


def problem_of(error: Exception) -> str:
    """Return in one line what a parser says."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    first = next(iter(str(error).splitlines()), type(error).__name__)
    return str(getattr(error, "problem", None) or first)


def _explained(problem: str, lines: list[str], number: int) -> tuple[int, str, str]:
    """Return the line of a mistake, what stands there, and "" or ": " and what to write instead."""
    line = lines[number] if 0 <= number < len(lines) else ""
    if re.match(" *\t", line) or "'\\t'" in problem:
        return number, "there is a tab", ": write spaces instead of the tab"
    for earlier in (number, number - 1):  # the parser sees it where the value ends, which may be a line later
        if 0 <= earlier < len(lines) and (odd := _INVISIBLE.search(lines[earlier])):
            what = f"{_SPACE} U+{ord(odd[0]):04X}"
            return earlier, what, ": write a plain space; a web page or an editor has left this one there"
    if problem == _QUOTES:
        return number, problem, ": write straight quotes, ' or \""
    if "escape character" in problem:
        what = "there is a backslash in double quotes"
        return number, what, ": write the text in single quotes, in which a backslash is one"
    if "mapping values" in problem:
        what = "there is a colon and a space within a value"
        return number, what, ": write the value in quotes"
    return number, problem, ""


def as_typed(node: Node | None, value: Any) -> Any:
    """Return a word, or a list of words, letter by letter: 007, 1e3 and null are no words to YAML.

    Args:
        node: of the value. A value that is no word, and words of other nodes, stay as they are.
    """
    if isinstance(node, SequenceNode) and isinstance(value, list):
        return [as_typed(one, entry) for one, entry in zip(node.value, value, strict=True)]
    if isinstance(node, ScalarNode) and node.value and not isinstance(value, str):
        return node.value
    return value


def child(node: Node | None, path: Sequence[int | str]) -> Node | None:
    """Return the node of a setting; None where there is none."""
    for part in map(str, path):
        if isinstance(node, MappingNode):
            node = next((value for key, value in node.value if key.value == part), None)
        elif isinstance(node, SequenceNode) and part.isdigit() and int(part) < len(node.value):
            node = node.value[int(part)]
        else:
            return None
    return node


class Lines:
    """The lines of a file's settings."""

    def __init__(self, name: str, node: Node | None) -> None:
        self.name = name
        self.node = node
        self.overridden: set[tuple[str, ...]] = set()
        self.first_edition = False
        """Whether the file has the keys of the first edition."""

    def __call__(self, path: Sequence[int | str]) -> str:
        """Return `competition.yaml:12` for the path of a setting, or SET if the command line set it."""
        parts = tuple(map(str, path))
        if any(parts[: len(o)] == o for o in self.overridden):
            return SET
        node, line = self.node, 1
        for part in parts:
            if isinstance(node, MappingNode) and part.isdigit():
                continue  # a list of one section is written without "-"
            if isinstance(node, MappingNode):
                entry = next(((k, v) for k, v in node.value if k.value == part), None)
                if entry is None:
                    break
                line, node = entry[0].start_mark.line + 1, entry[1]
            elif isinstance(node, SequenceNode) and part.isdigit() and int(part) < len(node.value):
                node = node.value[int(part)]
                line = node.start_mark.line + 1
            else:
                break
        return f"{self.name}:{line}"
