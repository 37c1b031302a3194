"""Threads may finish in any order; results come in the order of the items, and few wait at a time."""

from __future__ import annotations

import threading
import time

import pytest

from kagglekit.parallel import in_order
from kagglekit.parallel.in_order import InOrder


def test_results_come_in_order_in_the_callers_thread() -> None:
    results: list[tuple[int, int]] = []

    def work(number: int) -> int:
        time.sleep(0.02 if number % 3 == 0 else 0)
        return number * number

    with InOrder(work, lambda result: results.append((result, threading.get_ident())), threads=4) as items:
        for number in range(50):
            items.put(number)
    assert results == [(number * number, threading.get_ident()) for number in range(50)]


def test_few_wait_at_a_time() -> None:
    inside: set[int] = set()
    most = 0

    def work(number: int) -> int:
        time.sleep(0.002)
        return number

    with InOrder(work, inside.discard, threads=2) as items:
        for number in range(20):
            inside.add(number)
            items.put(number, weight=in_order.MOST_WEIGHT // 3)
            most = max(most, len(inside))
    assert most <= 4 and not inside


@pytest.mark.parametrize("part", ["work", "done"])
def test_an_error_ends_the_block(part: str) -> None:
    def fail(number: int) -> int:
        if number == 3:
            raise ValueError("three")
        return number

    seen: list[int] = []

    def done(number: int) -> None:
        seen.append(fail(number) if part == "done" else number)

    with pytest.raises(ValueError, match="three"), InOrder(fail if part == "work" else int, done, 2) as items:
        for number in range(100):
            items.put(number)
    assert seen == [0, 1, 2]


def test_an_error_of_the_caller_drops_what_waits() -> None:
    seen: list[int] = []
    with pytest.raises(KeyError), InOrder(int, seen.append, 1) as items:
        items.put(1)
        raise KeyError
    assert seen == []
