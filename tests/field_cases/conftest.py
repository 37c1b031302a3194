"""The case that a test is named after, made into its own folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.field_case import CASES, FieldCase, case_of, make


@pytest.fixture
def case(request: pytest.FixtureRequest, tmp_path: Path) -> FieldCase:
    """The case of the test's name: test_blank_lines gets blank-lines."""
    name = case_of(request.function.__name__)
    if not CASES.is_dir():
        pytest.skip(f"../shared/{CASES.name} is missing")
    return make(name, tmp_path / "case")
