"""Sending a submission: what the log says at every moment, and how it is mended after a kill."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import requests
import tiny

from kagglekit import config_file
from kagglekit.config import Config
from kagglekit.ensemble.build import Ensemble
from kagglekit.errors import HostError, SubmissionError
from kagglekit.fetch import fetch
from kagglekit.hosts import open_host
from kagglekit.hosts.base import Status, SubmissionState
from kagglekit.ledger import Entry, Ledger
from kagglekit.submit import Written, after_kill, refuse_twice, sync, updated, upload, wait, write
from kagglekit.training.loop import predictions
from kagglekit.training.runs import Run
from kagglekit.validation import Score
from kagglekit.workspace import Workspace

HOST = "local:tiny"
WHEN = datetime(2026, 11, 22, 10, 15, 30, tzinfo=UTC)
ENTRY = Entry(
    time="2026-11-22T10:15:00Z",
    csv="a.csv",
    sha256="0" * 64,
    models=["gru"],
    runs=["r1"],
    weights=[1.0],
    cv_score=0.87,
    config_key="abc",
    host=HOST,
    status="written",
)


def state(ref: str, status: Status = "COMPLETE", *, name: str = "a.csv", error: str = "") -> SubmissionState:
    public = 0.9 if status == "COMPLETE" else None
    return SubmissionState(ref, WHEN, name, status, public, None, error, "m")


def http_error(status: int) -> requests.HTTPError:
    response = requests.Response()
    response.status_code = status
    return requests.HTTPError(str(status), response=response)


class FakeHost:
    """Answers `submission` with one state after another."""

    def __init__(self, *states: SubmissionState, refuses: str = "", cause: Exception | None = None) -> None:
        self.states, self.refuses, self.cause = list(states), refuses, cause
        self.sent: list[tuple[Path, str]] = []

    def submit(self, path: Path, message: str) -> str:
        if self.refuses:
            raise HostError(self.refuses) from self.cause
        self.sent.append((path, message))
        return "7"

    def submission(self, ref: str) -> SubmissionState:
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]

    def submissions(self) -> list[SubmissionState]:
        return self.states


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "submissions" / "leaderboard.jsonl")


def written(tmp_path: Path, entry: Entry = ENTRY) -> Written:
    return Written(tmp_path / entry.csv, pl.DataFrame(), [], entry)


def logged(ledger: Ledger) -> list[str]:
    """The status in each line."""
    return [
        pl.Series([line]).str.json_path_match("$.status")[0] for line in ledger.path.read_text().splitlines()
    ]


# --- writing ---

MakeEnsemble = Callable[..., Ensemble]


@pytest.fixture
def tiny_config(tmp_path: Path) -> Config:
    config = config_file.load(tiny.make(tmp_path / "tiny"))
    workspace = Workspace(config)
    fetch(config, workspace, open_host(config, workspace.root), ["sample_submission.csv"])
    return config


@pytest.fixture
def ensemble(tmp_path: Path) -> MakeEnsemble:
    """One whose test logits say a class each clip, in turn from `first`."""

    def make(ids: list[str], first: int = 0) -> Ensemble:
        logits = np.eye(4, dtype=np.float32)[(np.arange(len(ids)) + first) % 4]
        test = predictions(pl.DataFrame({"clip_id": ids}), logits)
        result = Score(0.8712, 0.8, 0.9, 0.85, None, {}, ())
        run = Run("gru", "0123456789ab", tmp_path, result, {})
        return Ensemble("gru", (run,), (1.0,), result, tmp_path, test)

    return make


def ids_of(config: Config) -> list[str]:
    assert config.competition.local is not None
    return pl.read_csv(config.competition.local.files / "sample_submission.csv")["fname"].to_list()


def test_write(tiny_config: Config, ensemble: MakeEnsemble) -> None:
    workspace, ids = Workspace(tiny_config), ids_of(tiny_config)
    made = write(tiny_config, workspace, ensemble(ids))
    classes = tiny_config.labels.classes
    assert made.path.read_text() == "fname,label\n" + "".join(
        f"{name},{classes[i % 4]}\n" for i, name in enumerate(ids)
    )
    (entry,) = Ledger(workspace.ledger_path).entries()
    assert entry == made.entry
    assert (entry.status, entry.models, entry.runs, entry.cv_score) == (
        "written",
        ["gru"],
        ["0123456789ab"],
        0.8712,
    )
    assert (entry.csv, entry.host, made.warnings) == (made.path.name, "local:tiny", [])


def test_write_finds_equal_bytes(tiny_config: Config, ensemble: MakeEnsemble) -> None:
    workspace, ids = Workspace(tiny_config), ids_of(tiny_config)
    first = write(tiny_config, workspace, ensemble(ids))
    second = write(tiny_config, workspace, ensemble(ids))
    assert second.path == first.path and first.path.is_file()
    assert len(list(workspace.submissions.glob("*.csv"))) == 1


def test_a_rehearsal_does_not_block_the_same_bytes_elsewhere(
    tiny_config: Config, ensemble: MakeEnsemble
) -> None:
    workspace, ids = Workspace(tiny_config), ids_of(tiny_config)
    rehearsal = write(tiny_config, workspace, ensemble(ids))
    Ledger(workspace.ledger_path).append(replace(rehearsal.entry, status="COMPLETE", ref="1", public=0.9))
    competition = tiny_config.competition.model_copy(update={"host": "kaggle"})
    made = write(tiny_config.model_copy(update={"competition": competition}), workspace, ensemble(ids))
    refuse_twice(made, force=False)
    assert (made.entry.host, made.entry.status) == ("kaggle:tiny", "written")
    assert made.path != rehearsal.path and made.path.read_bytes() == rehearsal.path.read_bytes()


def test_write_twice_in_a_second_keeps_both(tiny_config: Config, ensemble: MakeEnsemble) -> None:
    workspace, ids = Workspace(tiny_config), ids_of(tiny_config)
    made = [write(tiny_config, workspace, ensemble(ids, first)) for first in range(3)]
    assert len({one.path for one in made}) == 3
    assert [one.path.read_text().splitlines()[1].split(",")[1] for one in made] == ["low", "mid", "silence"]


def test_write_refuses_other_ids(tiny_config: Config, ensemble: MakeEnsemble) -> None:
    workspace, ids = Workspace(tiny_config), ids_of(tiny_config)
    with pytest.raises(SubmissionError) as caught:
        write(tiny_config, workspace, ensemble([*ids[1:], "other.wav"]))
    assert str(caught.value) == (
        "the predictions do not fit the sample submission: 1 of its 24 ids have no prediction "
        "('clip_0000.wav'); 1 predictions are for ids it does not have ('other.wav')"
    )
    assert not workspace.submissions.exists()


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
    refuse_twice(written(tmp_path, entry), force=False)  # it may be sent again


@pytest.mark.parametrize(
    ("cause", "status"),
    [
        (requests.ConnectionError(), "sending"),
        (requests.ReadTimeout(), "sending"),
        (ConnectionResetError(), "sending"),
        (http_error(502), "sending"),
        (http_error(403), "ERROR"),
        (ValueError(), "ERROR"),
    ],
)
def test_a_lost_reply_is_no_refusal(cause: Exception, status: str, ledger: Ledger, tmp_path: Path) -> None:
    with pytest.raises(HostError):
        upload(written(tmp_path), FakeHost(refuses="no", cause=cause), ledger, "a try")
    (entry,) = ledger.entries()
    assert entry.status == status


def test_upload_again_forgets_the_earlier_score(ledger: Ledger, tmp_path: Path) -> None:
    scored = replace(ENTRY, status="COMPLETE", ref="3", public=0.5, error="old")
    entry = upload(written(tmp_path, scored), FakeHost(), ledger, "again")
    assert (entry.ref, entry.public, entry.error) == ("7", None, "")


@pytest.mark.parametrize(
    ("status", "public", "shown"),
    [("PENDING", None, "(PENDING)"), ("COMPLETE", 0.875, "(COMPLETE, public 0.87500)")],
)
def test_refuse_twice(status: Status, public: float | None, shown: str, tmp_path: Path) -> None:
    sent = written(tmp_path, replace(ENTRY, status=status, public=public))
    with pytest.raises(SubmissionError) as caught:
        refuse_twice(sent, force=False)
    assert str(caught.value) == f"these predictions were sent before: a.csv {shown}"
    refuse_twice(sent, force=True)


# --- waiting ---

PENDING = replace(ENTRY, status="PENDING", ref="7")


def test_wait_until_it_is_scored(ledger: Ledger) -> None:
    pauses: list[float] = []
    host = FakeHost(*[state("7", "PENDING")] * 3, state("7"))
    entry = wait(PENDING, host, ledger, pauses.append)
    assert (entry.status, entry.public) == ("COMPLETE", 0.9)
    assert pauses == [0.5, 0.75, 1.125]
    assert logged(ledger) == ["COMPLETE"]  # only news


def test_wait_gives_up(ledger: Ledger) -> None:
    pauses: list[float] = []
    entry = wait(PENDING, FakeHost(state("7", "PENDING")), ledger, pauses.append)
    assert entry.status == "PENDING" and not ledger.path.exists()
    assert 1800 < sum(pauses) < 1830 and max(pauses) == 15


def test_wait_tells_the_hosts_reason(ledger: Ledger) -> None:
    host = FakeHost(state("7", "PENDING"), state("7", "ERROR", error="bad rows"))
    entry = wait(PENDING, host, ledger, lambda _: None)
    assert (entry.status, entry.error) == ("ERROR", "bad rows")
    assert ledger.entries() == [entry]


def test_updated_logs_only_news(ledger: Ledger) -> None:
    first = updated(PENDING, state("7"), ledger)
    assert updated(first, state("7"), ledger) == first
    assert logged(ledger) == ["COMPLETE"]


# --- after a kill ---

SENDING = replace(ENTRY, status="sending", message="a try")


def test_sync_finds_what_was_sent(ledger: Ledger) -> None:
    ledger.append(SENDING)
    (changed,) = sync(FakeHost(state("9", name="b.csv"), state("8")), ledger, HOST)
    assert (changed.status, changed.ref, changed.public) == ("COMPLETE", "8", 0.9)
    assert ledger.entries() == [changed]


def test_sync_sees_what_was_not_sent(ledger: Ledger, tmp_path: Path) -> None:
    ledger.append(SENDING)
    (changed,) = sync(FakeHost(state("9", name="b.csv")), ledger, HOST)
    assert changed.status == "written"
    refuse_twice(written(tmp_path, changed), force=False)


def test_sync_leaves_other_hosts_alone(ledger: Ledger) -> None:
    ledger.append(replace(SENDING, host="kaggle:tiny"))
    ledger.append(replace(PENDING, csv="b.csv", host="kaggle:tiny"))
    assert sync(FakeHost(state("7")), ledger, HOST) == []
    assert after_kill(SENDING, FakeHost(state("7")), ledger) is None


def test_sync_takes_no_submission_for_another_of_the_same_file(ledger: Ledger) -> None:
    ledger.append(replace(PENDING, status="COMPLETE", ref="7"))
    ledger.append(SENDING)  # with --force, and its reply was lost
    (found,) = sync(FakeHost(state("8"), state("7")), ledger, HOST)
    ledger.append(SENDING)  # once more, and this time nothing arrived
    (absent,) = sync(FakeHost(state("8"), state("7")), ledger, HOST)
    assert (found.ref, absent.status) == ("8", "written")


@pytest.mark.parametrize(
    ("late", "status"), [(timedelta(minutes=-1), "COMPLETE"), (-timedelta(hours=1), "written")]
)
def test_sync_takes_no_submission_older_than_the_file(late: timedelta, status: str, ledger: Ledger) -> None:
    ledger.append(SENDING)
    (changed,) = sync(FakeHost(replace(state("7"), date=WHEN + late)), ledger, HOST)
    assert changed.status == status


def test_sync_leaves_the_rest_alone(ledger: Ledger) -> None:
    ledger.append(ENTRY)
    ledger.append(replace(ENTRY, csv="b.csv", sha256="1" * 64, status="COMPLETE", ref="9", public=0.9))
    assert sync(FakeHost(state("9", name="b.csv")), ledger, HOST) == []
    assert len(ledger.path.read_text().splitlines()) == 2


@pytest.mark.parametrize("status", ["written", "COMPLETE", "ERROR"])
def test_nothing_to_mend(status: Status, ledger: Ledger) -> None:
    assert after_kill(replace(ENTRY, status=status), FakeHost(state("7")), ledger) is None
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
def test_after_kill(
    entry: Entry, states: list[SubmissionState], found: tuple[str, str] | None, ledger: Ledger
) -> None:
    ledger.append(entry)
    now = after_kill(entry, FakeHost(*states), ledger)
    assert (now and (now.status, now.ref)) == found
