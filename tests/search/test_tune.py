"""Search: the recipe first, equal seeds, several processes, and what counts as a trial."""

from __future__ import annotations

from collections.abc import Callable

from support.searches import FakeTraining, Place


def test_trials_of_earlier_calls_count(place: Place, fake: Callable[..., FakeTraining]) -> None:
    training = fake(0.9, 0.9, 0.9)
    assert [place.tune(n).trials for n in (1, 3, 3, 2)] == [1, 3, 3, 3]
    assert len(training.jobs) == 3
