"""Bad input gets a clear error and loses nothing: every case of support/bad_inputs/."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.bad_inputs import CASES, Case, NotHereError

PARAMS = [
    pytest.param(case, id=f"{case.section}: {case.what}", marks=[pytest.mark.slow] if case.slow else [])
    for case in CASES
]


@pytest.mark.parametrize("case", PARAMS)
def test_bad_input(case: Case, tmp_path: Path) -> None:
    try:
        case.run(tmp_path / "tiny")
    except NotHereError as error:
        pytest.skip(str(error))
