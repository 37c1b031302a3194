"""Retry requests whose failure may be temporary, with growing pauses."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import requests

from kagglekit.config import Network
from kagglekit.hosts.replies import BROKEN, UnreadableError, retry_after_s, server_words
from kagglekit.terminal import console

T = TypeVar("T")

LONGEST_PAUSE_S = 300.0  # a server that asks for a longer pause is not waited for
TEMPORARY = (*BROKEN, requests.Timeout, UnreadableError)


def is_temporary(error: requests.RequestException) -> bool:
    """Tell whether the same request may succeed later: broken connection, busy server, login page."""
    if isinstance(error, requests.HTTPError):
        status, _ = server_words(error)
        return status in (408, 429) or status >= 500
    return isinstance(error, TEMPORARY)


@dataclass(frozen=True)
class Retry:
    """Repeats a request with growing pauses. Only for requests that may be sent twice."""

    network: Network
    sleep: Callable[[float], None] = time.sleep

    def __call__(self, what: str, action: Callable[[], T]) -> T:
        """Return the result of `action`, or raise its last error.

        Args:
            what: the request in words, for the message that announces the pause.
            action: sends one request.
        """
        for attempt in range(1, self.network.tries):
            try:
                return action()
            except requests.RequestException as error:
                if not is_temporary(error):
                    raise
                self.pause(what, error, attempt)
        return action()

    def pause(self, what: str, error: requests.RequestException, attempt: int) -> None:
        """Wait before try `attempt` + 1, or raise `error` where the server asks for too long a pause."""
        retry_after = retry_after_s(error)
        if retry_after is not None and retry_after > LONGEST_PAUSE_S:
            raise error
        # The jitter spreads out clients that were disconnected at the same moment.
        backoff = self.network.pause_s * 2.0 ** min(attempt - 1, 30) * random.uniform(0.5, 1.0)
        seconds = min(max(backoff, retry_after or 0.0), LONGEST_PAUSE_S)
        status = server_words(error)[0] if isinstance(error, requests.HTTPError) else None
        reason = f"Kaggle says {status}" if status else type(error).__name__
        console.note(f"could not {what} ({reason}); trying again in {seconds:.1f} s")
        self.sleep(seconds)
