"""competition.yaml -> Config. All problems of a file are reported at once, each with its line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from kagglekit.config.schema import Config
from kagglekit.errors import ConfigError, close_match

DEFAULT_NAME = "competition.yaml"
_BOOL, _FLOAT = "tag:yaml.org,2002:bool", "tag:yaml.org,2002:float"
_TAGS_OF_1_1 = {_BOOL, _FLOAT, "tag:yaml.org,2002:timestamp"}  # read otherwise in YAML 1.1
SET = "--set"  # where a setting of the command line stands
MAX_BYTES = 1_000_000  # a few kB are expected; a bound keeps a wrong file from being read whole


class _Loader(yaml.SafeLoader):
    """Safe YAML with the core schema of YAML 1.2: `yes`, `no`, `on`, `off` are words, 3e-4 is a number.

    No aliases: nested ones blow up in memory ("billion laughs").
    """

    yaml_implicit_resolvers = {  # noqa: RUF012  (as PyYAML has it)
        first: [(tag, regexp) for tag, regexp in resolvers if tag not in _TAGS_OF_1_1]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem="aliases (*name) are not used here", problem_mark=mark)
        return super().compose_node(parent, index)


_Loader.add_implicit_resolver(_BOOL, re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))
_Loader.add_implicit_resolver(
    _FLOAT, re.compile(r"^[-+]?(?:\d+\.\d*|\.\d+|\d+(?=[eE]))(?:[eE][-+]?\d+)?$"), list("-+.0123456789")
)


def load_config(path: Path | None = None, overrides: Sequence[str] = ()) -> Config:
    """Read and check a competition's YAML.

    Args:
        path: the file; by default competition.yaml in the current folder.
        overrides: `a.b=value` strings from --set, the values read as YAML.

    Raises:
        ConfigError: the file is missing, is not YAML, or has problems (all are listed).
    """
    path = Path(DEFAULT_NAME) if path is None else path
    node, found = read_yaml(path)
    raw = {key: value for key, value in found.items() if value is not None}  # `train:` with nothing under it
    lines = Lines(path.name, node)
    for text in overrides:
        _override(raw, text, lines)
    try:
        return Config.model_validate(raw, context={"root": path.resolve().parent})
    except ValidationError as error:
        errors = [
            *error.errors(),
            *_cross_errors(raw, {str(e["loc"][0]) for e in error.errors() if e["loc"]}),
        ]
        problems = _unique(_describe(e, lines) for e in errors)
    if all(problem.startswith(f"{SET} ") for problem in problems):
        where, remedy = "the command line", "correct it and run the command again"
    else:
        where, remedy = str(path), f"edit {path} and run the same command again"
    count = f"{len(problems)} problems in {where}:" if len(problems) > 1 else f"{where} has a problem:"
    raise ConfigError("\n  ".join([count, *problems]), hint=remedy)


def _cross_errors(raw: dict[str, Any], bad: set[str]) -> list[Any]:
    """What the checks between sections say of those without problems of their own."""
    if "labels" in bad:
        return []
    sound = {name: raw[name] for name in ("labels", "validation", "data") if name in raw and name not in bad}
    try:
        Config.model_validate({"competition": {"slug": "any"}, **sound})
    except ValidationError as error:
        return list(error.errors())
    return []


def _unique(items: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(items))


def read_yaml(path: Path) -> tuple[yaml.Node | None, dict[str, Any]]:
    """A YAML file of ours as it stands: (its nodes, which know their lines; its keys and values).

    Raises:
        ConfigError: it is missing, far too large, or not YAML with sections.
    """
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise ConfigError(
                f"{path} is {size:,} bytes, far more than a competition.yaml", hint="name another: -C FILE"
            )
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"there is no {path}", hint="go to its folder, or name the file: -C FILE") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}", hint="name another: -C FILE") from error
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        _no_double_keys(node, path)
        raw = loader.construct_document(node) if node is not None else {}
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise ConfigError(
            f"{where} is not YAML: {getattr(error, 'problem', None) or str(error).splitlines()[0]}",
            hint=f"edit {path}",
        ) from error
    if not isinstance(raw, dict):
        raise ConfigError(
            f"{path} holds a {type(raw).__name__}, not sections",
            hint="start from the shipped competition.yaml",
        )
    return node, raw


def _no_double_keys(node: yaml.Node | None, path: Path) -> None:
    """YAML keeps the last of two equal keys without a word; here it is an error."""
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise ConfigError(f"{path}:{line} a key must be a word", hint=f"edit {path}")
            if key.value in seen:
                raise ConfigError(
                    f"{path}:{line} '{key.value}' stands twice (first on line {seen[key.value]})",
                    hint="keep one of them",
                )
            seen[key.value] = line
            _no_double_keys(value, path)


def _override(raw: dict[str, Any], text: str, lines: Lines) -> None:
    dotted, equals, value = text.partition("=")
    if not equals or not all(dotted.split(".")):
        raise ConfigError(
            f"--set {text}: not of the form a.b=value", hint="for example --set train.epochs=10"
        )
    try:
        parsed = yaml.load(value, Loader=_Loader)  # noqa: S506 - a subclass of SafeLoader
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(
            f"--set {text}: the value is not YAML", hint="quote it: --set 'a.b=value'"
        ) from error
    section = raw
    *parents, last = dotted.split(".")
    for name in parents:
        section = section.setdefault(name, {})
        if not isinstance(section, dict):
            raise ConfigError(f"--set {text}: '{name}' is a value, not a section", hint="shorten the path")
    section[last] = parsed
    lines.overridden.add(tuple(dotted.split(".")))
    if parents and parents[0] in ("train", "features"):
        _clear_models(raw, parents, last)


def _clear_models(raw: dict[str, Any], parents: Sequence[str], last: str) -> None:
    """Take out what the file's `models.<name>` sections say of a setting that --set overrides for all."""
    sections = raw.get("models")
    for section in sections.values() if isinstance(sections, dict) else ():
        for name in parents:
            section = section.get(name) if isinstance(section, dict) else None
        if isinstance(section, dict):
            section.pop(last, None)


class Lines:
    """Where in the file a dotted path stands."""

    def __init__(self, name: str, node: yaml.Node | None) -> None:
        self.name = name
        self.node = node
        self.overridden: set[tuple[str, ...]] = set()

    def __call__(self, loc: Sequence[int | str]) -> str:
        """`competition.yaml:12`, or SET for what the command line set."""
        parts = tuple(str(p) for p in loc)
        if any(parts[: len(o)] == o for o in self.overridden):
            return SET
        node, line = self.node, 1
        for part in parts:
            if isinstance(node, yaml.MappingNode):
                found = next(((k, v) for k, v in node.value if k.value == part), None)
                if found is None:
                    break
                line, node = found[0].start_mark.line + 1, found[1]
            elif isinstance(node, yaml.SequenceNode) and part.isdigit() and int(part) < len(node.value):
                node = node.value[int(part)]
                line = node.start_mark.line + 1
            else:
                break
        return f"{self.name}:{line}"


def _describe(error: Any, lines: Lines) -> str:
    """`competition.yaml:12 train.epoch: unknown key; did you mean 'epochs'?`"""
    loc = [p for p in error["loc"] if not _is_internal(p)]
    dotted = ".".join(map(str, loc))
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        message = f"unknown key; {close_match(str(loc[-1]), _fields_at(loc[:-1]))}"
    elif error["type"] == "missing":
        message = "needed, but not there"
    elif error["type"] == "model_type":
        message = f"a section is needed, not {error['input']!r}"
    elif not isinstance(error["input"], dict | list) and error["type"] != "value_error":
        message = f"{message[0].lower()}{message[1:]}, not {error['input']!r}"
    return f"{lines(loc)} {dotted}: {message}" if dotted else f"{lines.name}: {message}"


def _is_internal(part: int | str) -> bool:
    """pydantic names the member of a union, or "[key]", in the path."""
    return isinstance(part, str) and part.startswith(
        ("literal[", "constrained", "float", "int", "str", "[key]")
    )


def _fields_at(loc: Sequence[int | str]) -> list[str]:
    """Names of the fields that may stand in the section at `loc`."""
    model: type[BaseModel] = Config
    for part in loc:
        field = model.model_fields.get(str(part))
        if field is None:  # the name of a model under `models:`, or an index
            continue
        inner = [t for t in (field.annotation, *_nested(field.annotation)) if _is_section(t)]
        if inner:
            model = inner[0]
    return list(model.model_fields)


def _nested(annotation: Any) -> list[Any]:
    args = get_args(annotation)
    return [*args, *(x for a in args for x in _nested(a))]


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
