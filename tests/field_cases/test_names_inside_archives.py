"""Names of members as old and foreign programs pack them."""

from __future__ import annotations

from support.field_case import FieldCase


def test_backslashes(case: FieldCase) -> None:
    case.good("fetch")
    case.good("prepare")
    assert len(case.clips()) == 32 and len(case.clips("test")) == 24
    case.up_to_a_score()
    assert "unsafe path" in case.bad("fetch", "up.zip").message


def test_masse_and_masze(case: FieldCase) -> None:
    case.good("fetch")
    case.good("prepare")
    assert case.counts("word") == {"Masse": 8, "Maße": 8, "groß": 8, "Groß": 8}


def test_dot_slash_and_icon(case: FieldCase) -> None:
    case.good("fetch")
    case.good("fetch", "test.zip")
    case.good("prepare")
    assert len(case.clips()) == 32 and len(case.clips("test")) == 24
    case.up_to_a_score()
