"""Load competition.yaml into a Config; report all problems at once, each with its line."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import Node, ScalarNode

from kagglekit.config import first_edition
from kagglekit.config.schema import Config
from kagglekit.config.yaml_file import SET, Lines, as_typed, child, parse, problem_of, read_yaml
from kagglekit.errors import ConfigError, close_match, shorten

MOST_PROBLEMS = 20
"""How many problems of a file are described, as more do not fit a screen."""
MOST_CHARACTERS = 1000
"""How much of a problem is shown."""
DEFAULT_NAME = "competition.yaml"


WORDS = (
    ("competition", "slug"),
    *(("labels", key) for key in ("classes", "targets", "filler", "silence", "none")),
    *(("submission", key) for key in ("positive", "none")),
)
"""Settings that are names, which are taken letter by letter."""


def load_config(path: Path | None = None, overrides: Sequence[str] = ()) -> Config:
    """Read and check a competition's YAML.

    Args:
        path: the file; by default competition.yaml in the current folder.
        overrides: `a.b=value` strings from --set, the values read as YAML.

    Raises:
        ConfigError: the file is missing, is not YAML, or has problems (all are listed).
    """
    path = Path(DEFAULT_NAME) if path is None else path
    node, content = read_yaml(path)
    raw = {key: value for key, value in content.items() if value is not None}  # `train:` without content
    lines = Lines(path.name, node)
    for section, key in WORDS:
        if isinstance(raw.get(section), dict) and key in raw[section]:
            raw[section][key] = _word(section, key, child(node, (section, key)), raw[section][key])
    for text in overrides:
        _override(raw, text, lines)
    lines.first_edition = first_edition.is_first_edition(raw)
    if lines.first_edition:
        raw = first_edition.upgrade(raw)
    context = {"root": path.resolve().parent}
    try:
        return Config.model_validate(raw, context=context)
    except ValidationError as error:
        errors = error.errors()
    if all(error["loc"] for error in errors):  # else the checks between sections have been run
        errors += _cross_errors(raw, {str(error["loc"][0]) for error in errors}, context)
    problems = list(dict.fromkeys(_describe(e, lines) for e in errors[:MOST_PROBLEMS]))
    if all(problem.startswith(f"{SET} ") for problem in problems):
        where, remedy = "the command line", "correct it and run the command again"
    else:
        where, remedy = str(path), f"edit {path} and run the same command again"
    more = max(len(errors) - MOST_PROBLEMS, 0)
    count = len(problems) + more
    head = f"{count:,} problems in {where}:" if count > 1 else f"{where} has a problem:"
    raise ConfigError("\n  ".join([head, *problems, *([f"and {more:,} more"] * bool(more))]), hint=remedy)


def _word(section: str, key: str, node: Node | None, value: Any) -> Any:
    """Return the value of one of WORDS as it was typed; null is nothing, but in a list and as a slug."""
    return value if value is None and key != "slug" else as_typed(node, value)


def _cross_errors(raw: dict[str, Any], bad: set[str], context: dict[str, Any]) -> list[Any]:
    """Return the errors of the checks between sections, run on the sections without errors of their own."""
    if bad & {"labels", "data"}:
        return []
    named = ("competition", "labels", "validation", "data", "audio", "features", "submission", "models")
    sound = {name: raw[name] for name in named if name in raw and name not in bad}
    metric = "log_loss"  # of any label kind, where the competition's is unknown
    if "competition" in bad:
        sound.pop("submission", None)
    try:
        Config.model_validate({"competition": {"slug": "any", "metric": metric}, **sound}, context=context)
    except ValidationError as error:
        return list(error.errors())
    return []


def _override(raw: dict[str, Any], text: str, lines: Lines) -> None:
    dotted, equals, value = text.partition("=")
    shown = shorten(text)
    if not equals or not all(dotted.split(".")):
        raise ConfigError(
            f"--set {shown}: not of the form a.b=value", hint="for example --set train.epochs=10"
        )
    try:
        node, parsed = parse(value)
    except (YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(
            f"--set {shown}: the value is not YAML: {problem_of(error)}", hint="quote it: --set 'a.b=value'"
        ) from error
    if isinstance(node, ScalarNode) and node.style is None and isinstance(parsed, str):
        parsed = value.strip()  # " #" begins no comment here, as in a path
    section: Any = raw
    *parents, last = dotted.split(".")
    for name in parents:
        if isinstance(section, list) and name.isdigit() and int(name) < len(section):
            section = section[int(name)]
        else:
            section = section.setdefault(name, {}) if isinstance(section, dict) else None
        if not isinstance(section, dict | list):
            raise ConfigError(f"--set {shown}: '{name}' is a value, not a section", hint="shorten the path")
    if isinstance(section, list):
        raise ConfigError(
            f"--set {shown}: '{parents[-1]}' is a list", hint=f"name an entry: {parents[-1]}.0.{last}"
        )
    if (*parents, last) in WORDS:
        parsed = _word(parents[0], last, node, parsed)
    section[last] = parsed
    lines.overridden.add(tuple(dotted.split(".")))
    if parents and parents[0] in ("train", "features"):
        _clear_models(raw, parents, last)


def _clear_models(raw: dict[str, Any], parents: Sequence[str], last: str) -> None:
    """Remove a setting that --set overrides for all models from the file's `models.<name>` sections."""
    sections = raw.get("models")
    for section in sections.values() if isinstance(sections, dict) else ():
        for name in parents:
            section = section.get(name) if isinstance(section, dict) else None
        if isinstance(section, dict):
            section.pop(last, None)


def _describe(error: Any, lines: Lines) -> str:
    """Return e.g. `competition.yaml:12 train.epoch: unknown key; did you mean 'epochs'?`"""
    loc = [p for p in error["loc"] if not _is_internal(p)]
    if lines.first_edition:
        loc = first_edition.origin(loc)
    dotted = shorten(".".join(map(str, loc)))
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        message = f"unknown key; {close_match(str(loc[-1]), _fields_at(loc[:-1]))}"
    elif error["type"] == "missing":
        message = "required"
    elif error["type"] == "model_type":
        message = f"must be a section, not {shorten(repr(error['input']))}"
    elif error["type"] == "string_type" and isinstance(node := child(lines.node, loc), ScalarNode):
        message = f"must be text, not {shorten(node.value)}; write '{shorten(node.value)}' in quotes"
    elif not isinstance(error["input"], dict | list) and error["type"] != "value_error":
        message = f"{message[0].lower()}{message[1:]}, not {shorten(repr(error['input']))}"
    message = shorten(message, MOST_CHARACTERS)
    return f"{lines(loc)} {dotted}: {message}" if dotted else f"{lines.name}: {message}"


def _is_internal(part: int | str) -> bool:
    """Tell whether pydantic added this part to the path: the member of a union, or "[key]"."""
    kinds = ("literal[", "constrained", "float", "int", "str", "[key]", "tuple[", "function-")
    return isinstance(part, str) and (
        part.startswith(kinds) or part in ("ClassList", "text", "section", "number")
    )


def _fields_at(loc: Sequence[int | str]) -> list[str]:
    """Return the names of the fields in the section at `loc`."""
    model: type[BaseModel] = Config
    for part in loc:
        field = model.model_fields.get(str(part))
        if field is None:  # a name under `models`, or an index
            continue
        model = next(_sections(field.annotation), model)
    return list(model.model_fields)


def _sections(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the section classes in an annotation, such as Range in `dict[str, Range | None]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _sections(argument)
