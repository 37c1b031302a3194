"""A thousand classes: what is shown is what a person reads."""

from __future__ import annotations

import re

import pytest
from support.field_case import FieldCase


@pytest.mark.slow
def test_a_thousand_classes(case: FieldCase) -> None:
    case.good("fetch")
    case.good("prepare")
    shown = [case.good("train", "--model", "tcresnet"), case.good("cv"), case.good("report")]
    shown.append(case.good("submit", "--ensemble", "tcresnet", "--upload", "--yes"))
    for outcome in shown:
        assert len(outcome.out.splitlines()) < 80 and max(map(len, outcome.out.splitlines())) < 1000
        assert len(outcome.err.splitlines()) < 80 and max(map(len, outcome.err.splitlines())) < 1000
    report = case.folder / "report.html"
    assert report.stat().st_size < 15_000_000
    with_sound = re.search(r"([\d,]+) misclassified clips with sound", shown[2].out)
    assert with_sound and int(with_sound[1].replace(",", "")) > 1000
