"""Endings in any case, and what operating systems add."""

from __future__ import annotations

from support.field_case import FieldCase


def test_upper_case_endings(case: FieldCase) -> None:
    case.good("fetch")
    case.good("prepare")
    assert len(case.clips()) == 32 and len(case.clips("test")) == 24


def test_packed_on_a_mac(case: FieldCase) -> None:
    case.good("fetch")
    case.good("prepare")
    for split, count in (("train", 32), ("test", 24)):
        assert case.counts("problem", split=split) == {"": count}
    case.up_to_a_score()
