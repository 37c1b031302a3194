"""Which failures pass by themselves, and how long to wait for that."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import requests

from kagglekit.config import Network
from kagglekit.hosts.replies import BROKEN, UnreadableError, asked_pause, server_words
from kagglekit.terminal import console

T = TypeVar("T")

LONGEST_PAUSE = 300.0  # seconds; who is asked for a longer one had better come back later
PASSING = (*BROKEN, requests.Timeout, UnreadableError)


def passes(error: requests.RequestException) -> bool:
    """Whether the same request may succeed later: a broken connection, a busy server, a login page."""
    if isinstance(error, requests.HTTPError):
        status, _ = server_words(error)
        return status in (408, 429) or status >= 500
    return isinstance(error, PASSING)


@dataclass(frozen=True)
class Retry:
    """Tries again, more and more rarely. Only for requests that may be made twice."""

    network: Network
    sleep: Callable[[float], None] = time.sleep

    def __call__(self, what: str, action: Callable[[], T]) -> T:
        """The result of `action`, or its last error.

        Args:
            what: the request in words, for the note that says why nothing happens.
            action: makes one request.
        """
        for attempt in range(1, self.network.tries):
            try:
                return action()
            except requests.RequestException as error:
                if not passes(error):
                    raise
                self.pause(what, error, attempt)
        return action()

    def pause(self, what: str, error: requests.RequestException, attempt: int) -> None:
        """Wait before try `attempt` + 1; where the server asks for too long a wait, raise `error` instead."""
        asked = asked_pause(error)
        if asked is not None and asked > LONGEST_PAUSE:
            raise error
        # Jitter keeps those who were cut off together from coming back together.
        own = self.network.pause_s * 2.0 ** min(attempt - 1, 30) * random.uniform(0.5, 1.0)
        seconds = min(max(own, asked or 0.0), LONGEST_PAUSE)
        status = server_words(error)[0] if isinstance(error, requests.HTTPError) else None
        reason = f"Kaggle says {status}" if status else type(error).__name__
        console.note(f"could not {what} ({reason}); trying again in {seconds:.1f} s")
        self.sleep(seconds)
