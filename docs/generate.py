"""Write docs/settings.md, docs/cli.md, the messages of docs/troubleshooting.md, and README's table of verbs.

    python docs/generate.py

tests/docs/test_generated.py compares the files with what this script would write.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from kagglekit import models
from kagglekit.cli import VERBS, make_parser
from kagglekit.config import Config
from kagglekit.config.names import FAMILIES

ROOT = Path(__file__).resolve().parents[1]
NOTE = "<!-- Written by `python docs/generate.py`; do not edit. -->"

SETTINGS = """\
Every key that `competition.yaml` may have, with the dotted path that `--set` takes: `--set
train.epochs=60`. Keys in **bold** are required. Paths are relative to the folder of the YAML file.

Where a setting is given more than once, the last of these wins: the default below, the architecture's own
default, `train:`, `models.<name>.train:`, `--set`, and the parameters that `tune` found."""

CLI = """\
Every verb, its options and an example, as `kagglekit VERB --help` shows them. Results go to stdout,
progress and errors to stderr. Exit codes: 0 for success, 1 for a failure that is explained, 2 for wrong
usage, 130 for Ctrl-C, 143 for SIGTERM, 129 for SIGHUP."""

NONE = "required"
VERBS_START = "<!-- verbs: written by `python docs/generate.py` -->\n"
VERBS_END = "\n<!-- end of verbs -->"
REPEATED = {"train": "train", "features": "features", "space": "search.space"}
"""Sections of `models.<name>`, and the ones whose keys they have."""


def pages() -> dict[str, str]:
    """Return the text of each file by its path."""
    return {
        "docs/settings.md": settings(),
        "docs/cli.md": cli(),
        "docs/troubleshooting.md": troubleshooting(),
        "README.md": readme(),
    }


# --- competition.yaml ---


def settings() -> str:
    """The settings reference: a table for each section, and one for each architecture."""
    schema = Config.model_json_schema()
    schema = with_choices(schema, schema)
    parts = [NOTE, "# Settings", SETTINGS]
    for name, section in sections(schema, schema, "", Config):
        rows = list(fields(section, schema, name))
        if rows:
            heading = f"`{name.removesuffix('.')}`" if name else "Top level"
            parts += [f"## {heading}", *about(section), table(rows)]
    parts += ["## Architectures", "The keys of `models.<name>.model`, by architecture."]
    same: dict[str, list[str]] = {}
    for name in (*models.MODELS, *(f"{prefix}name" for prefix in FAMILIES)):
        section = models.load(name).Config.model_json_schema()
        same.setdefault(table(fields(section, section, "")), []).append(name)
    for rows_of_all, names in same.items():
        parts += [f"### {', '.join(names)}", rows_of_all]
    return "\n\n".join(parts) + "\n"


def with_choices(value: Any, schema: dict[str, Any]) -> Any:
    """Write the choices of an enum where the schema refers to it."""
    if isinstance(value, list):
        return [with_choices(one, schema) for one in value]
    if not isinstance(value, dict):
        return value
    inner = {key: with_choices(one, schema) for key, one in value.items()}
    named = schema["$defs"].get(str(inner.get("$ref", "")).rpartition("/")[2], {})
    if "enum" not in named:
        return inner
    return {"enum": named["enum"], **{key: one for key, one in inner.items() if key != "$ref"}}


def sections(
    section: dict[str, Any], schema: dict[str, Any], prefix: str, kind: type[BaseModel]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield a section and those within it, depth first, each with the dotted path before its keys."""
    yield prefix, section
    for key, value in section["properties"].items():
        named = value.get("additionalProperties")
        inner = referenced(named if isinstance(named, dict) else value, schema)
        if inner is None or overrides(prefix, key):
            continue
        entry = "<setting>." if key == "space" else "<name>." if isinstance(named, dict) else ""
        place = f"{prefix}{key}." + ("<number>." if value.get("type") == "array" else entry)
        yield from sections(inner, schema, place, kind)


def overrides(prefix: str, key: str) -> bool:
    """Whether a section repeats one that is described elsewhere, for one architecture."""
    return prefix.startswith("models.") and key in REPEATED


def referenced(value: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any] | None:
    """The section that a property holds, or None where it holds a value."""
    for option in (value.get("items", value), *value.get("anyOf", ())):
        if "$ref" in option:
            inner: dict[str, Any] = schema["$defs"][option["$ref"].rpartition("/")[2]]
            return inner if "properties" in inner else None
    return None


def fields(
    section: dict[str, Any], schema: dict[str, Any], prefix: str
) -> Iterator[tuple[str, str, str, str]]:
    """Yield (key, values, default, meaning) of a section's own keys."""
    required = section.get("required", ())
    for key, value in section["properties"].items():
        named = value.get("additionalProperties")
        if overrides(prefix, key):
            yield f"`{prefix}{key}`", f"as `{REPEATED[key]}`", "`{}`", plain(value.get("description", ""))
        elif referenced(named if isinstance(named, dict) else value, schema) is None:
            marked = f"**`{prefix}{key}`**" if key in required else f"`{prefix}{key}`"
            shown = NONE if key in required else default(value)
            yield marked, values(value), shown, plain(value.get("description", ""))


def about(section: dict[str, Any]) -> list[str]:
    """The first paragraph of the section's docstring."""
    text = plain(section.get("description", "").partition("\n\n")[0])
    return [text] if text else []


def values(value: dict[str, Any]) -> str:
    """What a key takes: its type and range, or its choices."""
    if options := value.get("anyOf", value.get("oneOf")):
        return " or ".join(dict.fromkeys(values(option) for option in options))
    if "$ref" in value:
        return "mapping"
    if "const" in value or "enum" in value:
        return ", ".join(f"`{choice}`" for choice in value.get("enum", [value.get("const")]))
    kind = value.get("type")
    if kind == "array":
        items = value.get("prefixItems")
        return f"list of {len(items)}: {values(items[0])}" if items else f"list of {values(value['items'])}"
    if kind == "object":
        inner = value.get("additionalProperties")
        return f"name: {values(inner)}" if isinstance(inner, dict) and inner else "name: value"
    names = {"integer": "integer", "number": "number", "boolean": "true, false", "null": "null"}
    if kind == "string":
        return {"path": "path", "date-time": "date and time"}.get(value.get("format", ""), "text")
    return f"{names.get(kind, 'value')}{limits(value)}"


def limits(value: dict[str, Any]) -> str:
    """` from 1`, ` from 0 to 1`, ` above 0, below 1`"""
    words = {"exclusiveMinimum": "above", "minimum": "from", "exclusiveMaximum": "below", "maximum": "to"}
    there = [f"{word} {value[key]:g}" for key, word in words.items() if key in value]
    return " " + " ".join(there) if there else ""


def default(value: dict[str, Any]) -> str:
    """The default as YAML has it."""
    shown = value.get("default", {})  # the schema leaves out a default that a function makes; all are empty
    return f"`{shown if isinstance(shown, str) and shown else json.dumps(shown, ensure_ascii=False)}`"


# --- the command line ---


def cli() -> str:
    """The CLI reference: a section for each verb."""
    parser = make_parser()
    verbs = next(one for one in parser._actions if isinstance(one, argparse._SubParsersAction)).choices
    common = [action for action in parser._actions if action.option_strings]
    shared = {action.option_strings[-1] for action in common}
    parts = [NOTE, "# Commands", CLI]
    parts += ["## Options of every verb", table(arguments(parser, common), ("option", "meaning"))]
    for name, summary in VERBS.items():
        actions = [one for one in verbs[name]._actions if shared.isdisjoint(one.option_strings)]
        rows = list(arguments(verbs[name], actions))
        module = import_module(f"kagglekit.commands.{name}")
        parts += [f"## {name}", sentence(summary), *paragraphs(module.__doc__, summary)]
        parts += [table(rows, ("option", "meaning"))] if rows else []
        parts += [fenced(module.EXAMPLE)]
    return "\n\n".join(parts) + "\n"


def readme() -> str:
    """README.md with its table of verbs written anew."""
    rows = [(f"[`{name}`](docs/cli.md#{name})", sentence(summary)) for name, summary in VERBS.items()]
    before, start, rest = (ROOT / "README.md").read_text(encoding="utf-8").partition(VERBS_START)
    _, end, after = rest.partition(VERBS_END)
    return f"{before}{start}{table(rows, ('verb', 'what it does'))}{end}{after}"


def arguments(parser: argparse.ArgumentParser, actions: list[argparse.Action]) -> Iterator[tuple[str, str]]:
    """Yield (option, meaning) of a parser's arguments, --help aside."""
    formatter = parser._get_formatter()
    for action in actions:
        if isinstance(action, argparse._HelpAction | argparse._SubParsersAction):
            continue
        if action.help == argparse.SUPPRESS:
            continue
        choices = "{" + ",".join(action.choices) + "}" if action.choices else action.dest.upper()
        value = "" if action.nargs == 0 else action.metavar or choices
        shown = ", ".join(action.option_strings)
        name = f"{shown} {value}".strip() if shown else str(value)
        yield f"`{name}`", plain(formatter._expand_help(action) if action.help else "")


def paragraphs(docstring: str | None, summary: str) -> list[str]:
    """The description of a verb where it says more than its summary."""
    text = re.sub(r"(?<!\n)\n(?!\n)", " ", (docstring or "").strip())
    return [text] if text and text.rstrip(".").lower() != summary.lower() else []


def sentence(text: str) -> str:
    """`check the limits` -> `Check the limits.`"""
    return text[:1].upper() + text[1:].rstrip(".") + "."


def fenced(example: str) -> str:
    """An example as a block, without the line `example:` and the indent below it."""
    lines = example.splitlines()
    return "\n".join(["```", *(line.removeprefix("  ") for line in lines[lines[0] == "example:" :]), "```"])


# --- messages ---

MESSAGES_START = "<!-- messages: written by `python docs/generate.py` -->\n"
ROOMS = {
    "config": "Settings",
    "competitions": "Drafting a competition.yaml",
    "hosts": "The host: fetching and submitting",
    "files": "Files, archives and tables",
    "data": "Recordings, labels and folds",
    "features": "Features",
    "models": "Architectures and checkpoints",
    "training": "Training",
    "runs": "Trained runs",
    "scoring": "Metrics and submissions' shapes",
    "ensemble": "Ensembles",
    "search": "Searches",
    "distillation": "Pseudo-labels and distillation",
    "submission": "Submissions and their log",
    "parallel": "Processes and clusters",
    "report": "The report",
}
"""Rooms of the package with messages, and what they are about; all others are at the end."""
LEAST_LETTERS = 8
"""Of a message's own words; one with fewer is made of what others pass in."""


def troubleshooting() -> str:
    """Return docs/troubleshooting.md with the tables of all messages, behind what people wrote."""
    advice, _, _ = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8").partition(MESSAGES_START)
    by_room: dict[str, set[tuple[str, str]]] = {}
    for path in sorted((ROOT / "kagglekit").rglob("*.py")):
        room = path.relative_to(ROOT / "kagglekit").parts[0]
        by_room.setdefault(room if room in ROOMS else "", set()).update(messages(path))
    parts = [f"{advice}{MESSAGES_START}\n## All messages, by what they are about"]
    for room, title in {**ROOMS, "": "Everything else"}.items():
        rows = sorted(by_room.get(room, ()), key=lambda row: (row[0].strip("\u2026 '").lower(), row))
        marked = [
            (f"`{message}`" if "`" not in message else f"`` {message} ``", hint) for message, hint in rows
        ]
        parts += [f"### {title}", table(marked, ("message", "what to do"))] if rows else []
    return "\n\n".join(parts) + "\n"


def messages(path: Path) -> Iterator[tuple[str, str]]:
    """Yield (message, hint) of each error that a module raises, with \u2026 for what varies."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
        assigned = [
            (node.lineno, node.targets[0].id, node.value)
            for node in ast.walk(function)
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        ]
        for call in (node for node in ast.walk(function) if isinstance(node, ast.Call)):
            known = {name: value for line, name, value in sorted(assigned, key=first) if line <= call.lineno}
            name = getattr(call.func, "id", getattr(call.func, "attr", ""))
            hint = next((key.value for key in call.keywords if key.arg == "hint"), None)
            if not name.endswith("Error") or not call.args or (hint is None and name != "ValueError"):
                continue
            message = shown(call.args[0], known)
            if sum(map(str.isalpha, message)) >= LEAST_LETTERS:
                yield message, "" if hint is None else shown(hint, known)


def first(row: tuple[Any, ...]) -> Any:
    """Return the first value, to sort by."""
    return row[0]


def shown(text: ast.expr, known: dict[str, ast.expr], depth: int = 0) -> str:
    """Return a text of the code on one line, with \u2026 for what is only known when it runs."""
    if isinstance(text, ast.Constant) and isinstance(text.value, str):
        return plain_spaces(text.value)
    if isinstance(text, ast.JoinedStr):
        return re.sub("\u2026{2,}", "\u2026", "".join(shown(part, known, depth) for part in text.values))
    if isinstance(text, ast.BinOp) and isinstance(text.op, ast.Add):
        return shown(text.left, known, depth) + shown(text.right, known, depth)
    if isinstance(text, ast.IfExp):
        both = [shown(part, known, depth) for part in (text.body, text.orelse)]
        return " / ".join(part for part in both if part != "\u2026") or "\u2026"
    if isinstance(text, ast.Name) and text.id in known and depth < 3:
        return shown(known[text.id], known, depth + 1)
    return "\u2026"


def plain_spaces(text: str) -> str:
    """Return a text with single spaces in place of line ends, and those at its ends kept."""
    return re.sub(r"\s+", " ", text)


# --- Markdown ---


def table(
    rows: Iterator[tuple[str, ...]] | list[tuple[str, ...]],
    heads: tuple[str, ...] = ("key", "values", "default", "meaning"),
) -> str:
    """A Markdown table."""
    lines = [heads, ("---",) * len(heads), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def plain(text: str) -> str:
    """Text on one line."""
    return " ".join(text.split())


if __name__ == "__main__":
    for name, text in pages().items():
        (ROOT / name).write_text(text, encoding="utf-8")
        print(f"wrote {name}")
