"""Send a submission: what the log says at every moment, and how a kill is mended."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests
from support.submissions import (
    DETAILS,
    ENTRY,
    PENDING,
    SENDING,
    FakeHost,
    http_error,
    logged,
    state,
    written,
)

from kagglekit.config import Network
from kagglekit.errors import HostError, SubmissionError
from kagglekit.hosts.base import Details, Status, SubmissionState
from kagglekit.submission.ledger import Entry, Ledger
from kagglekit.submission.send import check_host, check_unsent, find_interrupted, upload, wait_for_score


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "submissions" / "leaderboard.jsonl")


# --- whether it may go ---

GONE = datetime(2018, 1, 16, 23, 59, tzinfo=UTC)


def test_check_host_says_what_is_left(tmp_path: Path) -> None:
    assert check_host(FakeHost(), tmp_path / "a.csv") == ["submissions today: 2 sent, 3 left"]


def test_check_host_says_that_a_late_one_does_not_count(tmp_path: Path) -> None:
    host = FakeHost()
    host.page = replace(DETAILS, deadline=GONE)
    assert check_host(host, tmp_path / "a.csv")[1:] == [
        "the deadline was 2018-01-16 23:59 UTC: late submissions are scored but not ranked"
    ]


@pytest.mark.parametrize(
    ("page", "left", "message", "hint"),
    [
        (DETAILS, 0, "no submissions are left today", "a.csv is kept: send it tomorrow"),
        (replace(DETAILS, deadline=GONE), 0, "closed at 2018-01-16 23:59 UTC, and the host takes", "kept"),
        (
            replace(DETAILS, notebooks_only=True),
            3,
            "tiny accepts no CSV: submissions are notebooks",
            "kept",
        ),
        (replace(DETAILS, closed=True), 3, "tiny takes no submissions: its host has disabled", "kept"),
        (replace(DETAILS, entered=False), 3, "the rules of tiny are not accepted", "https://host/rules"),
    ],
)
def test_check_host_refuses(page: Details, left: int, message: str, hint: str, tmp_path: Path) -> None:
    host = FakeHost()
    host.page, host.left = page, left
    with pytest.raises(SubmissionError, match=message) as caught:
        check_host(host, tmp_path / "a.csv")
    assert hint in str(caught.value.hint) and host.sent == []


# --- sending ---


def test_upload_logs_before_and_after(ledger: Ledger, tmp_path: Path) -> None:
    host = FakeHost()
    entry = upload(written(tmp_path), host, ledger, "a try")
    assert logged(ledger) == ["sending", "PENDING"]
    assert (entry.ref, entry.status, entry.message) == ("7", "PENDING", "a try")
    assert host.sent == [(tmp_path / "a.csv", "a try")]


def test_upload_that_fails_is_logged(ledger: Ledger, tmp_path: Path) -> None:
    with pytest.raises(HostError, match="closed"):
        upload(written(tmp_path), FakeHost(refuses="closed"), ledger, "a try")
    (entry,) = ledger.entries()
    assert (entry.status, entry.error, entry.ref) == ("ERROR", "closed", None)
    check_unsent(written(tmp_path, entry), force=False)  # it may be sent again


@pytest.mark.parametrize(
    ("cause", "status"),
    [
        (requests.ConnectionError(), "sending"),
        (requests.ReadTimeout(), "sending"),
        (ConnectionResetError(), "sending"),
        (http_error(502), "sending"),
        (http_error(200, b'{"code": 500, "message": "Oops"}'), "sending"),
        (http_error(408), "sending"),
        (http_error(429), "sending"),
        (http_error(429, b'{"error": {"code": 429, "message": "Daily submission limit reached"}}'), "ERROR"),
        (http_error(403), "ERROR"),
        (ValueError(), "ERROR"),
    ],
)
def test_a_lost_reply_is_no_refusal(cause: Exception, status: str, ledger: Ledger, tmp_path: Path) -> None:
    host, pauses = FakeHost(refuses="no", cause=cause), list[float]()
    with pytest.raises(HostError, match="no"):
        upload(written(tmp_path), host, ledger, "a try", Network(tries=3), pauses.append)
    (entry,) = ledger.entries()
    assert (entry.status, len(host.sent)) == (status, 1)
    assert pauses == ([1, 2, 4] if status == "sending" else [])


def test_a_lost_reply_is_found_on_the_host(ledger: Ledger, tmp_path: Path) -> None:
    host, pauses = FakeHost(refuses="no reply", cause=requests.ReadTimeout()), list[float]()
    host.late = [state("8", "PENDING")]  # shows at the second look
    entry = upload(written(tmp_path), host, ledger, "a try", Network(), pauses.append)
    assert (entry.status, entry.ref, len(host.sent)) == ("PENDING", "8", 1)
    assert pauses == [1, 2] and logged(ledger) == ["sending", "PENDING"]


def test_upload_again_forgets_the_earlier_score(ledger: Ledger, tmp_path: Path) -> None:
    scored = replace(ENTRY, status="COMPLETE", ref="3", public=0.5, error="old")
    entry = upload(written(tmp_path, scored), FakeHost(), ledger, "again")
    assert (entry.ref, entry.public, entry.error) == ("7", None, "")


@pytest.mark.parametrize(
    ("status", "public", "shown"),
    [("PENDING", None, "(PENDING)"), ("COMPLETE", 0.875, "(COMPLETE, public 0.87500)")],
)
def test_check_unsent(status: Status, public: float | None, shown: str, tmp_path: Path) -> None:
    sent = written(tmp_path, replace(ENTRY, status=status, public=public))
    with pytest.raises(SubmissionError) as caught:
        check_unsent(sent, force=False)
    assert str(caught.value) == f"these predictions were sent before: a.csv {shown}"
    check_unsent(sent, force=True)


# --- waiting ---


def test_wait_until_it_is_scored(ledger: Ledger) -> None:
    pauses: list[float] = []
    host = FakeHost(*[state("7", "PENDING")] * 3, state("7"))
    entry = wait_for_score(PENDING, host, ledger, pauses.append)
    assert (entry.status, entry.public) == ("COMPLETE", 0.9)
    assert pauses == [0.5, 0.75, 1.125]
    assert logged(ledger) == ["COMPLETE"]  # only news


def test_wait_gives_up(ledger: Ledger) -> None:
    pauses: list[float] = []
    entry = wait_for_score(PENDING, FakeHost(state("7", "PENDING")), ledger, pauses.append)
    assert entry.status == "PENDING" and not ledger.path.exists()
    assert 1800 < sum(pauses) < 1830 and max(pauses) == 15


def test_wait_tells_the_hosts_reason(ledger: Ledger) -> None:
    host = FakeHost(state("7", "PENDING"), state("7", "ERROR", error="bad rows"))
    entry = wait_for_score(PENDING, host, ledger, lambda _: None)
    assert (entry.status, entry.error) == ("ERROR", "bad rows")
    assert ledger.entries() == [entry]


def test_wait_survives_a_host_that_is_away(ledger: Ledger) -> None:
    away = HostError("could not read the submission: Kaggle says 503")
    entry = wait_for_score(
        PENDING, FakeHost(*[away] * 4, state("7", "PENDING"), away, state("7")), ledger, lambda _: None
    )
    assert (entry.status, entry.public) == ("COMPLETE", 0.9)


def test_wait_leaves_a_host_that_stays_away(ledger: Ledger) -> None:
    with pytest.raises(HostError, match="sent as 7, but its score cannot be read: no network") as caught:
        wait_for_score(PENDING, FakeHost(HostError("no network")), ledger, lambda _: None)
    assert "leaderboard --sync" in str(caught.value.hint)


# --- after a kill ---


def test_what_was_refused_is_looked_up_before_it_is_sent_again(ledger: Ledger, tmp_path: Path) -> None:
    with pytest.raises(HostError):
        upload(written(tmp_path), FakeHost(refuses="no", cause=http_error(403)), ledger, "a try")
    (refused,) = ledger.entries()
    assert find_interrupted(refused, FakeHost(), ledger, settle=60) is None  # it may go out again at once
    arrived = find_interrupted(refused, FakeHost(state("8")), ledger)
    assert arrived is not None and (arrived.status, arrived.ref) == ("COMPLETE", "8")


def test_a_second_upload_that_is_refused_leaves_the_first_as_it_was(ledger: Ledger, tmp_path: Path) -> None:
    scored = replace(PENDING, status="COMPLETE", public=0.9)
    ledger.append(scored)
    with pytest.raises(HostError, match="at the limit"):
        upload(written(tmp_path, scored), FakeHost(refuses="at the limit"), ledger, "with --force")
    assert ledger.entries() == [scored]
    with pytest.raises(SubmissionError, match="sent before"):
        check_unsent(written(tmp_path, ledger.entries()[0]), force=False)


def test_a_second_upload_that_was_lost_is_not_taken_for_the_first(ledger: Ledger) -> None:
    scored = replace(PENDING, status="COMPLETE", public=0.9)
    ledger.append(scored)
    ledger.append(SENDING)  # with --force
    assert find_interrupted(SENDING, FakeHost(state("7")), ledger) is None
    assert ledger.entries() == [scored]


@pytest.mark.parametrize("status", ["written", "COMPLETE"])
def test_nothing_to_mend(status: Status, ledger: Ledger) -> None:
    assert find_interrupted(replace(ENTRY, status=status), FakeHost(state("7")), ledger) is None
    assert not ledger.path.exists()


@pytest.mark.parametrize(
    ("entry", "states", "found"),
    [
        (SENDING, [state("7")], ("COMPLETE", "7")),
        (SENDING, [state("7", "PENDING")], ("PENDING", "7")),
        (SENDING, [state("9", name="b.csv")], None),
        (PENDING, [state("7")], ("COMPLETE", "7")),
        (PENDING, [state("7", "ERROR", error="bad rows")], ("ERROR", "7")),
    ],
)
def test_find_interrupted(
    entry: Entry, states: list[SubmissionState], found: tuple[str, str] | None, ledger: Ledger
) -> None:
    ledger.append(entry)
    now = find_interrupted(entry, FakeHost(*states), ledger)
    assert (now and (now.status, now.ref)) == found
