"""Turn the failures of requests, and the error replies of a server, into HostErrors with hints."""

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import LocationParseError

from kagglekit.errors import HostError

NO_HOME = "there is no home folder to look for a credential in: HOME is not set"
NO_HOME_HINT = "set KAGGLE_API_TOKEN to a token (kaggle.com > Settings > API), or HOME to a folder"
SIGN_IN_HINT = (
    "create a token at kaggle.com > Settings > API, then set KAGGLE_API_TOKEN to it "
    "or save it as ~/.kaggle/access_token"
)

_LIMIT = re.compile(
    r"(?i)submissions?\b.*\b(limit|allowance|quota|remaining|today|per day)"
    r"|\b(limit|allowance|quota|maximum)\b.*\bsubmissions?|\bdaily\b"
)
_SIZE = re.compile(r"(?i)\b(size|bytes|large|rows)\b|\d\s*[kmg]i?b\b")

BROKEN = (requests.ConnectionError, requests.exceptions.ChunkedEncodingError)
"""The connection failed, before the reply or within it."""


class UnreadableError(requests.RequestException):
    """The reply is not what was requested, such as the login page of a hotel's network."""


class DamagedDownloadError(UnreadableError):
    """A downloaded file has another size or checksum than it should have."""


class StorageError(requests.HTTPError):
    """The storage that holds the files refuses a request that Kaggle itself has accepted."""


@contextmanager
def reaching(url: str) -> Iterator[None]:
    """Raise UnreadableError for an address that a server gave and that leads nowhere; it is never shown.

    requests raises errors of other libraries for some of them, such as a label of 70 letters.
    """
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        good = False
    if not good:
        raise UnreadableError("an impossible address")
    try:
        yield
    except (UnicodeError, LocationParseError, requests.exceptions.InvalidURL) as error:
        raise UnreadableError("an impossible address") from error


@contextmanager
def explained(what: str, slug: str = "") -> Iterator[None]:
    """Raise a HostError for whatever a request raises.

    Args:
        what: the request in words, after "could not".
        slug: the competition, or a page as datasets/OWNER/NAME or code/OWNER/NAME, for the URLs in hints.
    """
    again = "run the same command again"
    try:
        yield
    except requests.HTTPError as error:
        raise _refusal(what, slug, error) from error
    except requests.Timeout as error:
        raise HostError(
            f"no answer: could not {what} ({type(error).__name__})",
            hint=f"the connection stalls, or Kaggle is down: {again} later",
        ) from error
    except BROKEN as error:
        raise HostError(
            f"no network: could not {what} ({type(error).__name__})",
            hint=f"check the connection (and HTTPS_PROXY), then {again}",
        ) from error
    except requests.exceptions.InvalidHeader:  # its text contains the key, so it is not shown
        raise HostError(
            f"could not {what}: the API key contains a character that is not allowed", hint=SIGN_IN_HINT
        ) from None
    except DamagedDownloadError as error:
        raise HostError(
            f"could not {what}: {error}", hint=f"the download was deleted; {again} later"
        ) from error
    except requests.RequestException as error:
        raise HostError(
            f"could not {what}: Kaggle's reply cannot be read ({_cause(error)})",
            hint=f"a login page or a proxy may have replied: log in there, then {again}",
        ) from error


def _cause(error: requests.RequestException) -> str:
    """Return the text of our own error; another library's may contain a URL with a key in it."""
    return str(error) if isinstance(error, UnreadableError) else type(error).__name__


def _refusal(what: str, slug: str, error: requests.HTTPError) -> HostError:
    status, words = server_words(error)
    who = "Kaggle's storage" if isinstance(error, StorageError) else "Kaggle"
    hint = "run the same command again in some minutes"
    pause = retry_after_s(error)
    if is_about_limit(error):
        hint = "no submission is left for now: the CSV is kept; send it when the day (UTC) is over"
    elif pause is not None or status == 429:
        hint = f"{who} asks for a pause: wait {_time(pause or 60)}, then run the same command again"
    elif isinstance(error, StorageError):
        hint = "a new link was refused as well: run the same command again in some minutes"
    elif status == 400:
        hint = "the message is Kaggle's: check the file, the deadline and the competition's rules"
    elif status == 401:
        hint = f"Kaggle rejects the credentials: {SIGN_IN_HINT}"
    elif status in (403, 404) and "/" in slug:
        hint = f"check that your account can open https://www.kaggle.com/{slug}"
    elif status == 403 and slug:
        hint = (
            f"accept the rules at https://www.kaggle.com/competitions/{slug}/rules, "
            "then run the same command again"
        )
    elif status == 404 and slug:
        hint = f"check competition.slug: '{slug}' must be the last part of the competition's URL"
    return HostError(f"could not {what}: {who} says {status} {words}".rstrip(), hint=hint)


def is_about_limit(error: requests.HTTPError) -> bool:
    """Tell whether a refusal speaks of the limit of submissions, which comes as 400, 403 or 429; not of the
    limit of their size."""
    status, words = server_words(error)
    return 400 <= status < 500 and _LIMIT.search(words) is not None and _SIZE.search(words) is None


def server_words(error: requests.HTTPError) -> tuple[int, str]:
    """Return status and message of an error reply.

    The message stands in {"code", "message"} or {"error": {...}}; without it, the status line is used.
    """
    response = error.response
    if response is None:
        return 0, one_line(str(error))
    try:
        body = response.json()
    except (ValueError, requests.RequestException, RuntimeError):  # RuntimeError: already read and closed
        return response.status_code, one_line(response.reason or "")
    details = body.get("error", body) if isinstance(body, dict) else body
    if not isinstance(details, dict):
        return response.status_code, one_line(str(details))
    code = details.get("code")
    status = code if isinstance(code, int) and code >= 400 else response.status_code  # 200 can carry a 403
    return status, one_line(str(details.get("message") or response.reason or ""))


def submission_ref(reply: Any, what: str) -> str:
    """Return the reference in the reply to a submission of `what`.

    Raises:
        HostError: it has none, and Kaggle may have taken the submission all the same.
    """
    if not reply.ref:
        words = one_line(reply.message or "no message")
        raise HostError(
            f"Kaggle's reply to {what} contains no submission reference: {words}",
            hint="check what Kaggle received: kagglekit leaderboard --sync",
        ) from UnreadableError("no reference")
    return str(reply.ref)


def retry_after_s(error: requests.RequestException) -> float | None:
    """Return the seconds of a Retry-After header (a number or a date), or None without one."""
    if error.response is None:
        return None
    text = error.response.headers.get("Retry-After", "")
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(text).astimezone(UTC) - datetime.now(UTC)).total_seconds()
        except (ValueError, OverflowError):
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{math.ceil(seconds / 60):,} min"


def one_line(text: str) -> str:
    """Make a server's text safe to show: one line, printable, at most 300 characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:300]
