"""Sample rates that have no divisor in common with the competition's."""

from __future__ import annotations

from support.field_case import FieldCase


def test_prime_sample_rates(case: FieldCase) -> None:
    case.good("fetch")
    case.good("prepare")
    for split, count in (("train", 40), ("test", 24)):
        clips = case.clips(split)
        assert len(clips) == count
        assert clips["samples"].is_between(7998, 8002).all()
        assert clips["flags"].str.contains("resampled").all()
