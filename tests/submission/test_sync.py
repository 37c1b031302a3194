"""Bring the log up to date with the host."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.submissions import (
    DETAILS,
    ENTRY,
    HOST,
    PENDING,
    SENDING,
    WHEN,
    FakeHost,
    logged,
    state,
    written,
)

from kagglekit.config import Network
from kagglekit.errors import HostError
from kagglekit.hosts.base import LeaderboardRow
from kagglekit.scoring.metrics import make_metric
from kagglekit.submission.ledger import Entry, Ledger
from kagglekit.submission.send import check_unsent, find_interrupted
from kagglekit.submission.sync import record_ranks, record_state, settle_seconds, sync


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "submissions" / "leaderboard.jsonl")


def test_record_state_logs_only_news(ledger: Ledger) -> None:
    first = record_state(PENDING, state("7"), ledger)
    assert record_state(first, state("7"), ledger) == first
    assert logged(ledger) == ["COMPLETE"]


def test_sync_finds_what_was_sent(ledger: Ledger) -> None:
    ledger.append(SENDING)
    (changed,) = sync(FakeHost(state("8")), ledger, HOST)
    assert (changed.status, changed.ref, changed.public) == ("COMPLETE", "8", 0.9)
    assert ledger.entries() == [changed]


def test_sync_sees_what_was_not_sent(ledger: Ledger, tmp_path: Path) -> None:
    ledger.append(SENDING)
    changed, foreign = sync(FakeHost(state("9", name="b.csv")), ledger, HOST)
    assert (changed.status, foreign.csv) == ("written", "b.csv")
    check_unsent(written(tmp_path, changed), force=False)


def test_sync_concludes_nothing_from_an_upload_of_just_now(ledger: Ledger) -> None:
    now = datetime.now(UTC)
    ledger.append(replace(SENDING, sent=(now - timedelta(seconds=20)).isoformat()))
    with pytest.raises(HostError, match=r"was sent 2\d s ago, and the host does not show it yet"):
        sync(FakeHost(), ledger, HOST, settle=60)
    assert ledger.entries()[0].status == "sending"
    ledger.append(replace(SENDING, sent=(now - timedelta(seconds=61)).isoformat()))
    (changed,) = sync(FakeHost(), ledger, HOST, settle=60)
    assert changed.status == "written"


def test_which_are_selected(ledger: Ledger) -> None:
    ledger.append(replace(PENDING, status="COMPLETE", public=0.8))
    host = FakeHost()
    for host.chosen, expected in ((None, None), ({"7"}, True), ({"8"}, False)):
        record_ranks(host, ledger, HOST, make_metric("accuracy"))
        assert ledger.entries()[0].selected is expected


def test_sync_leaves_other_hosts_alone(ledger: Ledger) -> None:
    ledger.append(replace(SENDING, host="kaggle:tiny"))
    ledger.append(replace(PENDING, csv="b.csv", host="kaggle:tiny"))
    assert [entry.foreign for entry in sync(FakeHost(state("7")), ledger, HOST)] == [True]
    assert [entry.status for entry in ledger.entries()] == ["sending", "PENDING", "COMPLETE"]
    assert find_interrupted(SENDING, FakeHost(state("7")), ledger) is None


def test_sync_takes_no_submission_for_another_of_the_same_file(ledger: Ledger) -> None:
    ledger.append(replace(PENDING, status="COMPLETE", ref="7"))
    ledger.append(SENDING)  # with --force, and its reply was lost
    (found,) = sync(FakeHost(state("8"), state("7")), ledger, HOST)
    ledger.append(SENDING)  # once more, and this time nothing arrived: what was known before holds again
    (absent,) = sync(FakeHost(state("8"), state("7")), ledger, HOST)
    assert found.ref == "8" and absent == found


@pytest.mark.parametrize(
    ("late", "status"), [(-timedelta(hours=14), "COMPLETE"), (-timedelta(days=2), "written")]
)
def test_sync_takes_no_submission_older_than_the_file(late: timedelta, status: str, ledger: Ledger) -> None:
    ledger.append(SENDING)
    changed = sync(FakeHost(replace(state("7"), date=WHEN + late)), ledger, HOST)
    assert changed[0].status == status
    assert [entry.foreign for entry in changed[1:]] == [True] * (status == "written")


@pytest.mark.parametrize("days", [-3, 3])
def test_no_clock_matters_where_the_log_knows_what_was_there_before(days: int, ledger: Ledger) -> None:
    date = WHEN + timedelta(days=days)
    new, old = replace(state("8"), date=date), replace(state("6"), date=date)
    ledger.append(replace(SENDING, after="6"))
    changed = sync(FakeHost(new, old), ledger, HOST)
    assert (changed[0].status, changed[0].ref) == ("COMPLETE", "8")
    ledger.append(replace(SENDING, csv="b.csv", after="8"))
    assert [entry.status for entry in sync(FakeHost(new, old), ledger, HOST)] == ["written"]


@pytest.mark.parametrize(
    ("host", "network", "seconds"),
    [
        ("local", Network(), 0),
        ("kaggle", Network(pause_s=0.01, timeout_s=1), 60),
        ("kaggle", Network(timeout_s=90), 180),
    ],
)
def test_an_upload_may_still_appear_for_a_minute(host: str, network: Network, seconds: float) -> None:
    config = SimpleNamespace(network=network, competition=SimpleNamespace(host=host))
    assert settle_seconds(config) == seconds  # type: ignore[arg-type]


def test_sync_leaves_the_rest_alone(ledger: Ledger) -> None:
    ledger.append(ENTRY)
    ledger.append(replace(ENTRY, csv="b.csv", sha256="1" * 64, status="COMPLETE", ref="9", public=0.9))
    assert sync(FakeHost(state("9", name="b.csv")), ledger, HOST) == []
    assert len(ledger.path.read_text().splitlines()) == 2


@pytest.mark.parametrize("entry", [SENDING, replace(PENDING, csv="b.csv")])
def test_sync_concludes_nothing_from_a_list_with_gaps(entry: Entry, ledger: Ledger) -> None:
    ledger.append(replace(ENTRY, csv="old.csv", status="COMPLETE", ref="7", public=0.9))
    ledger.append(entry)
    with pytest.raises(HostError, match=f"is incomplete: {entry.csv} is missing"):
        sync(FakeHost(), ledger, HOST)
    assert ledger.entries()[1] == entry


# --- what was sent elsewhere, and where it all stands ---


def test_sync_imports_what_was_sent_elsewhere(ledger: Ledger) -> None:
    ledger.append(replace(PENDING, status="COMPLETE", ref="7", public=0.9))
    scoring = replace(state("9", "PENDING", name="submission.csv"), date=WHEN + timedelta(hours=1))
    host = FakeHost(scoring, state("8", name="submission.csv"), state("7"))
    first, second = sync(host, ledger, HOST)
    assert (first.ref, first.time, first.public, first.models) == ("8", "2026-11-22T10:15:30Z", 0.9, [])
    assert (second.ref, second.status, second.foreign) == ("9", "PENDING", True)
    assert len(ledger.entries()) == 3 and sync(host, ledger, HOST) == []
    host.states[0] = replace(scoring, status="COMPLETE", public=0.8)
    (scored,) = sync(host, ledger, HOST)
    assert (scored.ref, scored.public) == ("9", 0.8) and len(ledger.entries()) == 3


def board(*scores: float | None) -> list[LeaderboardRow]:
    return [LeaderboardRow(i, f"team {i}", score) for i, score in enumerate(scores, 1)]


def test_rank_is_among_the_other_teams(ledger: Ledger) -> None:
    scored = replace(PENDING, status="COMPLETE", public=0.8)
    ledger.append(replace(scored, csv="best.csv", public=0.9))
    ledger.append(scored)
    ledger.append(replace(PENDING, csv="c.csv"))
    host = FakeHost()
    host.page, host.rows = replace(DETAILS, rank=2, teams=4), board(0.95, 0.9, 0.85, None)
    record_ranks(host, ledger, HOST, make_metric("accuracy"))
    assert [(e.rank, e.teams) for e in ledger.entries()] == [(2, 4), (3, 4), (None, None)]
    lines = ledger.path.read_text()
    record_ranks(host, ledger, HOST, make_metric("accuracy"))
    assert ledger.path.read_text() == lines  # only news


def test_rank_below_all_that_the_host_lists_is_unknown(ledger: Ledger) -> None:
    ledger.append(replace(PENDING, status="COMPLETE", public=0.5))
    host = FakeHost()
    host.page, host.rows = replace(DETAILS, teams=1315), board(0.95, 0.9)
    record_ranks(host, ledger, HOST, make_metric("accuracy"))
    assert [(e.rank, e.teams) for e in ledger.entries()] == [(None, 1315)]
