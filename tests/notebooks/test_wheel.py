"""The wheel of inference: what is in it, and what it needs."""

from __future__ import annotations

import ast
import sys
import zipfile
from pathlib import Path

from support.notebooks import REFUSED

from kagglekit.notebooks.wheel import ENTRY, PACKAGES, _imported, inference_modules, write_wheel

OPTIONAL = {"py7zr", "pyppmd", "inflate64", "backports", "compression", "pyarrow", "av", "rich"}
"""Imported inside functions, where a file or a terminal needs them."""


def test_inference_needs_no_training_code() -> None:
    modules = inference_modules()
    assert ENTRY in modules
    rooms = {name.split(".")[1] for name in modules if "." in name}
    assert not rooms & {"training", "models", "features", "runs", "search", "hosts", "commands", "project"}
    wanted = set()
    for path in modules.values():
        wanted |= {name.partition(".")[0] for name in _imported(ast.parse(path.read_text(encoding="utf-8")))}
    third = wanted - set(sys.stdlib_module_names) - {"kagglekit"} - OPTIONAL
    assert third == {*PACKAGES, "pydantic_core"}
    assert not third & set(REFUSED)


def test_the_same_code_gives_the_same_wheel(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    first, second = (write_wheel(tmp_path / name) for name in ("a", "b"))
    assert first.read_bytes() == second.read_bytes() and first.stat().st_size < 500_000
    with zipfile.ZipFile(first) as wheel:
        names = wheel.namelist()
        assert "kagglekit/inference/submit.py" in names
        record = wheel.read(next(name for name in names if name.endswith("/RECORD"))).decode()
        assert all(f"{name}," in record for name in names)
