"""Look at a host with growing pauses, until what is waited for is there."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from kagglekit.config import Network
from kagglekit.errors import HostError
from kagglekit.terminal import progress

T = TypeVar("T")

FIRST_S, LONGEST_S = 2.0, 60.0
AGAIN = "the same command goes on from here"
FAILED_LOOKS = 5
"""Failures in a row, each after the host's own retries, that end a wait."""


def pause(seconds: float) -> None:
    """Wait; tests do not."""
    time.sleep(seconds)


@dataclass(frozen=True)
class Patience:
    """How to wait for a host."""

    network: Network
    sleep: Callable[[float], None]

    def until(self, what: str, look: Callable[[Callable[[str], None]], T | None], seconds: float) -> T | None:
        """Look again and again, and return what is there; None where `seconds` have passed.

        Args:
            what: what is waited for, in words.
            look: asks the host; None for "not yet". It is given a function that shows how things stand.

        Raises:
            HostError: the host failed FAILED_LOOKS times in a row.
        """
        seconds_between, waited, failed = FIRST_S, 0.0, 0
        with progress.bar(f"waiting for {what}", None, "checks") as advance:
            while True:
                try:
                    seen = look(lambda text: advance(0, text=text))
                    if seen is not None or waited >= seconds:
                        return seen
                    failed = 0
                except HostError as error:
                    failed += 1
                    if failed == FAILED_LOOKS:
                        raise HostError(
                            f"cannot see how {what} stands: {error}",
                            hint=f"nothing is lost: {AGAIN}",
                        ) from error
                self.sleep(seconds_between)
                waited += seconds_between
                advance(1)
                seconds_between = min(seconds_between * 1.5, LONGEST_S)

    def found(self, look: Callable[[], T | None]) -> T | None:
        """Look for what a request may have done although its reply was lost; None where it does not show."""
        for seconds in (self.network.pause_s * 2.0**i for i in range(self.network.tries)):
            self.sleep(seconds)
            try:
                if (seen := look()) is not None:
                    return seen
            except HostError:
                continue
        return None
