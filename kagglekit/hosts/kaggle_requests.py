"""Requests to Kaggle by kagglesdk alone: sent once, repeated, page by page, or about what is one's own.

KaggleApi's methods for data sets and kernels repeat requests that must be sent once, keep uploads by path and
size, take a server's failure for a free name, wait without limit, and print. None is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import requests

from kagglekit.errors import HostError
from kagglekit.hosts.client import Client
from kagglekit.hosts.replies import UnreadableError, explained, server_words
from kagglekit.hosts.retry import Retry

PAGE_SIZE = 200
AGAIN = "run the same command again"
LATER = f"{AGAIN} in some minutes"


class KaggleRequests:
    """Sends requests for the user who is signed in."""

    def __init__(self, client: Client, timeout_s: float, retry: Retry) -> None:
        self._client = client
        self._timeout_s = timeout_s
        self._retry = retry

    @property
    def account(self) -> str:
        """The name of the user who is signed in.

        Raises:
            HostError: the credential does not say.
        """
        if not self._client.account:
            raise HostError(
                "Kaggle's client does not know the name of your account",
                hint="set KAGGLE_USERNAME to it, beside the credential",
            )
        return self._client.account

    def _owned(
        self, what: str, page: str, method: str, names: dict[str, str], is_listed: Callable[[], bool]
    ) -> Any:
        """Return the reply about something of one's own; None where it is not there.

        Kaggle says 404 of what is not there, or 403, which may as well mean that the account must not see it.
        """
        request = self._client.request(method, "", **names)
        with explained(what, page):
            try:
                return self._retry(what, partial(self._send, method, request))
            except requests.HTTPError as error:
                if server_words(error)[0] not in (403, 404) or is_listed():
                    raise
                return None

    def _pages(self, what: str, page: str, method: str, **fields: Any) -> Iterator[Any]:
        token, seen = "", set[str]()
        while token not in seen:  # a server that repeats its pages would never end
            seen.add(token)
            reply = self._ask(what, page, method, page_size=PAGE_SIZE, page_token=token, **fields)
            yield reply
            token = reply.next_page_token or ""

    def _ask(self, what: str, page: str, method: str, **fields: Any) -> Any:
        """Send a request that may be repeated, and return the reply."""
        return self._repeat(
            what, page, partial(self._send, method, self._client.request(method, "", **fields))
        )

    def _repeat(self, what: str, page: str, action: Callable[[], Any]) -> Any:
        with explained(what, page):
            return self._retry(what, action)

    def _send(self, method: str, request: Any) -> Any:
        return self._client.send(method, request, self._timeout_s)

    def _page(self, kind: str, slug: str) -> str:
        return f"{kind}/{self.account}/{slug}"

    @staticmethod
    def _unreadable(what: str, why: str) -> HostError:
        error = HostError(f"could not {what}: Kaggle's reply cannot be read ({why})", hint=LATER)
        error.__cause__ = UnreadableError(why)  # so that what was sent is looked for
        return error
