"""The plan of the house, as data: which room may import which, and how large things may grow.

`python tests/test_house.py` prints the counts.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "kagglekit"

ROOMS = (
    *("errors", "terminal", "config", "files", "parallel", "scoring", "hosts", "data", "features", "models"),
    *("training", "runs", "ensemble", "search", "distillation", "submission"),
    *("inference", "notebooks", "verdict"),
    *("charts", "report"),
    *(
        "recipes",
        "competitions",
        "demo",
        ("pipeline", "doctor"),
        "project",
        "commands",
        "cli",
        "__main__",
        "magic",
    ),
)
"""A room imports from rooms to its left only; those in one bracket stand side by side."""

MOST_LOOSE_MODULES = 9
MOST_LINES = 300
MOST_LONG_FILES = 6
MOST_FUNCTION_LINES = 60
MOST_SIDE_BY_SIDE = 5
"""Functions that take two or more of config, workspace and prepared."""
SIDE_BY_SIDE = {"config", "workspace", "prepared"}


class Import(NamedTuple):
    """One module that imports another, anywhere in its text: in a function or for types alone, too."""

    importer: str
    imported: str

    @property
    def rooms(self) -> tuple[str, str]:
        return self.importer.partition(".")[0], self.imported.partition(".")[0]


def sources() -> dict[str, Path]:
    """Dotted name below kagglekit -> file; the package itself is ''."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def trees() -> dict[str, ast.Module]:
    return {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in sources().items()}


def imports() -> set[Import]:
    """Every import of one module of ours by another."""
    known = trees()
    found = set()
    for name, tree in known.items():
        for target in targets(tree):
            if target.startswith("kagglekit"):
                inner = target.removeprefix("kagglekit").removeprefix(".")
                while inner not in known:  # a name in a module
                    inner = inner.rpartition(".")[0]
                if inner != name:
                    found.add(Import(name, inner))
    return found


def targets(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def ranks() -> dict[str, int]:
    return {
        room: place
        for place, rooms in enumerate(ROOMS)
        for room in ([rooms] if isinstance(rooms, str) else rooms)
    }


def up_imports() -> list[str]:
    """Imports that run up. The package's own `__version__` and lazy `open` aside, which belong to no room."""
    rank = ranks()
    return sorted(
        f"{one.importer} imports {one.imported}"
        for one in imports()
        if one.importer and one.imported and one.rooms[0] != one.rooms[1]
        if rank[one.rooms[1]] >= rank[one.rooms[0]]
    )


def circles() -> list[set[str]]:
    """Modules that import each other, by way of others too (Tarjan's components of more than one)."""
    edges: dict[str, set[str]] = {name: set() for name in sources()}
    for one in imports():
        if one.importer and one.imported:  # every module may ask the package for its version
            edges[one.importer].add(one.imported)

    def reachable(start: str) -> set[str]:
        seen: set[str] = set()
        waiting = [start]
        while waiting:
            for other in edges[waiting.pop()] - seen:
                seen.add(other)
                waiting.append(other)
        return seen

    reach = {name: reachable(name) for name in edges}
    found: list[set[str]] = []
    for name in edges:
        circle = {other for other in reach[name] if name in reach[other]}
        if circle and circle not in found:
            found.append(circle)
    return found


def functions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for name, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{name}.{node.name}", node


def long_functions() -> list[str]:
    lines = {name: (node.end_lineno or 0) - node.lineno + 1 for name, node in functions()}
    return [f"{name}: {count} lines" for name, count in lines.items() if count > MOST_FUNCTION_LINES]


def long_files() -> list[str]:
    lines = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in sources().items()}
    return [f"{name}: {count} lines" for name, count in lines.items() if count > MOST_LINES]


def side_by_side() -> list[str]:
    found = []
    for name, node in functions():
        taken = {arg.arg for arg in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)}
        if len(taken & SIDE_BY_SIDE) > 1:
            found.append(name)
    return found


def twice() -> list[str]:
    """Class names that stand twice; the Config that every architecture has is not counted."""
    counts = Counter(
        node.name for tree in trees().values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)
    )
    return sorted(name for name, count in counts.items() if count > 1 and name != "Config")


def matches(pattern: str) -> list[str]:
    """Lines of the package, as module:line, that a regular expression finds."""
    return [
        f"{name}:{number}"
        for name, path in sources().items()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(pattern, line)
    ]


def writers() -> list[str]:
    """Lines that move a file or a folder into place by hand."""
    return matches(r"\bos\.(replace|rename)\(|shutil\.move\(")


def softmaxes() -> list[str]:
    """Lines that write out a softmax."""
    return matches(r"np\.(exp|subtract)\(.*\.max\(|- [\w.]+\.max\([^)]*keepdims")


def loose_modules() -> list[str]:
    return sorted(path.stem for path in PACKAGE.glob("*.py") if path.stem != "__init__")


def test_every_room_is_in_the_plan() -> None:
    rooms = {name.partition(".")[0] for name in sources()} - {""}
    assert rooms == set(ranks())


def test_no_import_runs_up() -> None:
    assert up_imports() == []


def test_no_import_circle() -> None:
    assert circles() == []


def test_few_loose_modules() -> None:
    assert len(loose_modules()) <= MOST_LOOSE_MODULES


def test_functions_fit_a_screen() -> None:
    assert long_functions() == []


def test_few_long_files() -> None:
    assert len(long_files()) <= MOST_LONG_FILES


def test_one_value_is_passed_not_three_side_by_side() -> None:
    assert len(side_by_side()) <= MOST_SIDE_BY_SIDE


def test_no_class_name_stands_twice() -> None:
    assert twice() == []


def test_one_atomic_writer() -> None:
    assert {line.partition(":")[0] for line in writers()} == {"files.atomic"}


def test_one_softmax() -> None:
    assert {line.partition(":")[0] for line in softmaxes()} == {"scoring.numerics"}


@pytest.mark.parametrize(
    "room", [path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()]
)
def test_a_room_says_what_is_in_it(room: str) -> None:
    assert ast.get_docstring(ast.parse((PACKAGE / room / "__init__.py").read_text(encoding="utf-8")))


def counts() -> dict[str, object]:
    """The figures of the house."""
    lines = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in sources().values())
    return {
        "loose modules": len(loose_modules()),
        "import circles": circles(),
        "imports that run up": up_imports(),
        f"functions over {MOST_FUNCTION_LINES} lines": long_functions(),
        f"files over {MOST_LINES} lines": long_files(),
        "functions that take config, workspace, prepared side by side": side_by_side(),
        "class names that stand twice": twice(),
        "os.replace": writers(),
        "softmax by hand": softmaxes(),
        "lines of the package": lines,
    }


if __name__ == "__main__":
    for what, found in counts().items():
        print(f"{what}: {len(found) if isinstance(found, list) else found}")
        for one in found if isinstance(found, list) else ():
            print(f"    {one}")
