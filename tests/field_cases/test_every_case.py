"""Every case of ../shared/field-cases has a test, in the file of its kind."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from support.field_case import CASES, kinds


@pytest.mark.skipif(not CASES.is_dir(), reason=f"../shared/{CASES.name} is missing")
def test_every_folder_has_a_test() -> None:
    folders = {path.name for path in CASES.iterdir() if path.is_dir()}
    assert folders == set(kinds())
    tested = {case: kind for kind, names in _tests().items() for case in names}
    assert set(tested) == folders
    assert {case: kinds()[case] for case in tested} == tested


def _tests() -> dict[str, list[str]]:
    """Return the cases that the test functions of each file are named after; a file has the name of a kind."""
    return {
        path.stem.removeprefix("test_").replace("_", " "): [
            node.name.removeprefix("test_").replace("_", "-")
            for node in ast.parse(path.read_text(encoding="utf-8")).body
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
        ]
        for path in Path(__file__).parent.glob("test_*.py")
        if path != Path(__file__)
    }
