"""What is tried again, and after how long."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import requests

from kagglekit.config import Network
from kagglekit.errors import HostError
from kagglekit.hosts.client import decoding
from kagglekit.hosts.replies import StorageError, UnreadableError, explained, retry_after_s
from kagglekit.hosts.retry import LONGEST_PAUSE_S, Retry


def refusal(status: int, body: bytes = b"", **headers: str) -> requests.HTTPError:
    """An error as the client raises it."""
    response = requests.Response()
    response.status_code, response._content = status, body
    response.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    return requests.HTTPError(response=response)


class Flaky:
    """Fails with each error in turn, then answers."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


def patient(tries: int = 6) -> tuple[Retry, list[float]]:
    """One that notes its waits instead of waiting."""
    waits: list[float] = []
    return Retry(Network(tries=tries), waits.append), waits


@pytest.mark.parametrize(
    "error",
    [
        refusal(429),
        refusal(500),
        refusal(503),
        refusal(408),
        refusal(200, json.dumps({"error": {"code": 429}}).encode()),
        requests.ConnectionError(),
        requests.exceptions.ChunkedEncodingError(),
        requests.ReadTimeout(),
        UnreadableError("a web page"),
    ],
)
def test_what_passes_is_tried_again(error: Exception) -> None:
    retry, waits = patient()
    assert retry("ask", Flaky(error)) == "answer"
    assert len(waits) == 1


@pytest.mark.parametrize("error", [refusal(400), refusal(401), refusal(403), refusal(404), ValueError()])
def test_what_stays_is_not(error: Exception) -> None:
    retry, waits = patient()
    action = Flaky(error)
    with pytest.raises(type(error)):
        retry("ask", action)
    assert (action.calls, waits) == (1, [])


def test_pauses_double_with_jitter_and_end() -> None:
    retry, waits = patient()
    action = Flaky(*[requests.ConnectionError(str(i)) for i in range(9)])
    with pytest.raises(requests.ConnectionError, match="5"):
        retry("ask", action)
    assert action.calls == 6
    assert all(2**i / 2 <= wait <= 2**i for i, wait in enumerate(waits)) and len(set(waits)) == 5


def test_retry_after_is_obeyed_up_to_a_bound() -> None:
    retry, waits = patient()
    assert retry("ask", Flaky(refusal(429, Retry_After="120"))) == "answer"
    assert waits == [120]
    for error in (refusal(429, Retry_After="900"), refusal(503, Retry_After="900")):
        with pytest.raises(requests.HTTPError):
            retry("ask", Flaky(error))
        with pytest.raises(HostError) as caught, explained("ask"):
            raise error
        assert "wait 15 min" in str(caught.value.hint)
    assert waits == [120]


def test_retry_after_as_a_date_or_nonsense() -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    pause = retry_after_s(refusal(429, Retry_After=soon))
    assert pause is not None and 50 < pause <= 60
    assert retry_after_s(refusal(429, Retry_After="-5")) == 0
    for nonsense in ("", "soon", "nan", "inf", "Mon, 99 Foo 2026"):
        assert retry_after_s(refusal(429, Retry_After=nonsense)) is None


def test_no_pause_is_endless() -> None:
    waits: list[float] = []
    retry = Retry(Network(tries=2, pause_s=1e9), waits.append)
    assert retry("ask", Flaky(requests.ConnectionError())) == "answer"
    assert waits == [LONGEST_PAUSE_S]


@pytest.mark.parametrize(
    ("error", "message", "hint"),
    [
        (requests.ReadTimeout(), "no answer: could not ask (ReadTimeout)", "stalls"),
        (requests.ConnectionError(), "no network: could not ask (ConnectionError)", "HTTPS_PROXY"),
        (
            UnreadableError("a web page"),
            "could not ask: Kaggle's reply cannot be read (a web page)",
            "log in",
        ),
        (
            StorageError(response=refusal(403).response),
            "could not ask: Kaggle's storage says 403",
            "new link",
        ),
        (
            requests.exceptions.InvalidURL("key"),
            "could not ask: Kaggle's reply cannot be read (InvalidURL)",
            "",
        ),
    ],
)
def test_explained(error: Exception, message: str, hint: str) -> None:
    with pytest.raises(HostError) as caught, explained("ask", "tiny"):
        raise error
    assert str(caught.value) == message
    assert hint in str(caught.value.hint)


@pytest.mark.parametrize(
    "error", [KeyError("a"), TypeError(), json.JSONDecodeError("", "", 0), AttributeError()]
)
def test_a_decoder_that_stumbles(error: Exception) -> None:
    with pytest.raises(UnreadableError, match=type(error).__name__), decoding():
        raise error
