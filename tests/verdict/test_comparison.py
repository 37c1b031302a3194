"""The verdict on planted shifts: one case of each kind; docs/results/verdict.md has a hundred."""

from __future__ import annotations

import pytest
from support import planted_shifts as planted


@pytest.mark.parametrize(("kind", "by_site"), planted.KINDS)
def test_planted_shifts(kind: str, by_site: bool) -> None:
    case = planted.make_case(kind, 9000, by_site=by_site)
    verdict = planted.verdict_of(case, *planted.statistics_of(case))
    assert planted.is_right(kind, by_site, verdict), verdict.sentence


def test_the_reason_is_named() -> None:
    case = planted.make_case("other noise", 9001, by_site=True)
    verdict = planted.verdict_of(case, *planted.statistics_of(case))
    compared = verdict.evidence.compared
    assert compared is not None
    assert compared.differences[0].name.startswith(("background above", "background from"))
    assert compared.differences[0].test > compared.differences[0].train + 6
    assert [each.name for each in compared.differences][-1] == "length"
    assert planted.verdict_of(case, *planted.statistics_of(case)) == verdict  # the same seed, the same result
