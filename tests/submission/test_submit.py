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
from support import tiny

from kagglekit.config import Config, Network
from kagglekit.config.load import load_config
from kagglekit.ensemble.blend import Ensemble
from kagglekit.errors import HostError, MissingError, SubmissionError
from kagglekit.files.workspace import Workspace
from kagglekit.hosts import open_host
from kagglekit.hosts.base import Details, LeaderboardRow, Limits, Status, SubmissionState
from kagglekit.hosts.fetch import fetch
from kagglekit.runs.store import Run
from kagglekit.scoring.cv import Score
from kagglekit.submission.ledger import Entry, Ledger
from kagglekit.submission.sync import rank, sync, updated
from kagglekit.submission.upload import admission, after_kill, refuse_twice, upload, wait
from kagglekit.submission.write import Written, take, write
from kagglekit.training.predict import predictions

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


def http_error(status: int, body: bytes = b"") -> requests.HTTPError:
    response = requests.Response()
    response.status_code, response._content = status, body
    return requests.HTTPError(str(status), response=response)


DETAILS = Details("tiny", "Tiny", "accuracy", None, 5, rules_url="https://host/rules", entered=True)


class FakeHost:
    """Answers `submission` with one state after another; an error among them is raised."""

    def __init__(
        self, *states: SubmissionState | HostError, refuses: str = "", cause: Exception | None = None
    ) -> None:
        self.states, self.refuses, self.cause = list(states), refuses, cause
        self.sent: list[tuple[Path, str]] = []
        self.late: list[SubmissionState] = []
        self.page, self.left, self.rows = DETAILS, 3, list[LeaderboardRow]()
        self.chosen: set[str] | None = None

    def submit(self, path: Path, message: str) -> str:
        self.sent.append((path, message))
        if self.refuses:
            raise HostError(self.refuses) from self.cause
        return "7"

    def submission(self, ref: str) -> SubmissionState:
        answer = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        if isinstance(answer, HostError):
            raise answer
        return answer

    def submissions(self) -> list[SubmissionState]:
        """The states; what is in `late` shows at the second look."""
        shown = [one for one in self.states if isinstance(one, SubmissionState)]
        self.states += self.late
        return shown

    def details(self) -> Details:
        return self.page

    def limits(self) -> Limits:
        return Limits(today=2, allowed_now=self.left, daily=None)

    def leaderboard(self) -> list[LeaderboardRow]:
        return self.rows

    def selected(self) -> set[str] | None:
        return self.chosen


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
    config = load_config(tiny.make(tmp_path / "tiny"))
    workspace = Workspace(config)
    fetch(workspace, open_host(config, workspace.root), ["sample_submission.csv"])
    return config


@pytest.fixture
def ensemble(tmp_path: Path) -> MakeEnsemble:
    """One whose test logits say a class each clip, in turn from `first`."""

    def make(ids: list[str], first: int = 0) -> Ensemble:
        logits = np.eye(4, dtype=np.float32)[(np.arange(len(ids)) + first) % 4]
        test = predictions(pl.DataFrame({"clip_id": ids}), logits)
        result = Score(0.8712, 0.8, 0.9, 0.85, None, {}, ())
        run = Run("gru", "0123456789ab", tmp_path, result, {})
        return Ensemble("gru", (run,), (1.0,), "mean", "none", (), (), result, tmp_path, test)

    return make


def ids_of(config: Config) -> list[str]:
    assert config.competition.local is not None
    return pl.read_csv(config.competition.local.files / "sample_submission.csv")["fname"].to_list()


def test_write(tiny_config: Config, ensemble: MakeEnsemble) -> None:
    workspace, ids = Workspace(tiny_config), ids_of(tiny_config)
    made = write(workspace, ensemble(ids))
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
    first = write(workspace, ensemble(ids))
    second = write(workspace, ensemble(ids))
    assert second.path == first.path and first.path.is_file()
    assert len(list(workspace.submissions.glob("*.csv"))) == 1


def test_a_rehearsal_does_not_block_the_same_bytes_elsewhere(
    tiny_config: Config, ensemble: MakeEnsemble
) -> None:
    workspace, ids = Workspace(tiny_config), ids_of(tiny_config)
    rehearsal = write(workspace, ensemble(ids))
    Ledger(workspace.ledger_path).append(replace(rehearsal.entry, status="COMPLETE", ref="1", public=0.9))
    competition = tiny_config.competition.model_copy(update={"host": "kaggle"})
    made = write(Workspace(tiny_config.model_copy(update={"competition": competition})), ensemble(ids))
    refuse_twice(made, force=False)
    assert (made.entry.host, made.entry.status) == ("kaggle:tiny", "written")
    assert made.path != rehearsal.path and made.path.read_bytes() == rehearsal.path.read_bytes()


def test_write_twice_in_a_second_keeps_both(tiny_config: Config, ensemble: MakeEnsemble) -> None:
    workspace, ids = Workspace(tiny_config), ids_of(tiny_config)
    made = [write(workspace, ensemble(ids, first)) for first in range(3)]
    assert len({one.path for one in made}) == 3
    assert [one.path.read_text().splitlines()[1].split(",")[1] for one in made] == ["low", "mid", "silence"]


def test_write_refuses_other_ids(tiny_config: Config, ensemble: MakeEnsemble) -> None:
    workspace, ids = Workspace(tiny_config), ids_of(tiny_config)
    with pytest.raises(SubmissionError) as caught:
        write(workspace, ensemble([*ids[1:], "other.wav"]))
    assert str(caught.value) == (
        "the predictions do not fit the sample submission: 1 of its 24 ids have no prediction "
        "('clip_0000.wav'); 1 predictions are for ids it does not have ('other.wav')"
    )
    assert not workspace.submissions.exists()


def as_file(folder: Path, ids: list[str], labels: list[str]) -> Path:
    """A CSV with Windows line ends, whose bytes are not ours to change."""
    path = folder / "by hand.csv"
    rows = zip(ids, labels, strict=True)
    path.write_bytes(b"fname,label\r\n" + "".join(f"{i},{label}\r\n" for i, label in rows).encode())
    return path


def test_take_keeps_the_bytes(tiny_config: Config, tmp_path: Path) -> None:
    workspace, ids = Workspace(tiny_config), ids_of(tiny_config)
    path = as_file(tmp_path, ids, ["low", "mid", "silence", "unknown"] * 6)
    made = take(workspace, path)
    assert made.path.parent == workspace.submissions and made.path.name.endswith("_by-hand.csv")
    assert made.path.read_bytes() == path.read_bytes()
    assert (made.entry.models, made.entry.cv_score, made.entry.status) == ([], None, "written")
    assert take(workspace, path).path == made.path


def test_take_knows_a_file_of_ours(tiny_config: Config, ensemble: MakeEnsemble, tmp_path: Path) -> None:
    workspace, ids = Workspace(tiny_config), ids_of(tiny_config)
    ours = write(workspace, ensemble(ids))
    (tmp_path / "copy.csv").write_bytes(ours.path.read_bytes())
    taken = take(workspace, tmp_path / "copy.csv")
    assert (taken.path, taken.entry) == (ours.path, ours.entry)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda ids, labels: (ids[::-1], labels), "not in the sample's order: row 1 is"),
        (lambda ids, labels: (ids[1:], labels[1:]), "has 23 rows, the sample 24"),
        (lambda ids, labels: ([ids[1], *ids[1:]], labels), "repeats ids: 1 repeated"),
        (lambda ids, labels: (["x.wav", *ids[1:]], labels), "1 ids are not in the sample: 'x.wav'"),
        (lambda ids, labels: (ids, ["lo", *labels[1:]]), "labels that are no class: 'lo'"),
        (lambda ids, labels: (ids, ["low"] * 24), "all 24 rows say 'low'"),
    ],
)
def test_take_refuses(
    change: Callable[..., tuple[list[str], list[str]]], message: str, tiny_config: Config, tmp_path: Path
) -> None:
    workspace = Workspace(tiny_config)
    path = as_file(tmp_path, *change(ids_of(tiny_config), ["low", "mid", "silence", "unknown"] * 6))
    with pytest.raises(SubmissionError, match=message):
        take(workspace, path)
    assert not workspace.submissions.exists()


def test_take_wants_a_csv(tiny_config: Config, tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"there is no file no\.csv"):
        take(Workspace(tiny_config), Path("no.csv"))
    (tmp_path / "odd.csv").write_bytes(b"fname,label\na,b,c\n")
    with pytest.raises(SubmissionError, match=r"odd\.csv is not a CSV: found more fields"):
        take(Workspace(tiny_config), tmp_path / "odd.csv")


# --- whether it may go ---

GONE = datetime(2018, 1, 16, 23, 59, tzinfo=UTC)


def test_admission_tells_what_is_left(tmp_path: Path) -> None:
    assert admission(FakeHost(), tmp_path / "a.csv") == ["sent today: 2; 3 submissions left today"]


def test_admission_tells_that_a_late_one_does_not_count(tmp_path: Path) -> None:
    host = FakeHost()
    host.page = replace(DETAILS, deadline=GONE)
    assert admission(host, tmp_path / "a.csv")[1:] == [
        "the deadline was 2018-01-16 23:59 UTC: late submissions are scored, and count in no ranking"
    ]


@pytest.mark.parametrize(
    ("page", "left", "message", "hint"),
    [
        (DETAILS, 0, "no submissions are left today", "a.csv is kept: send it tomorrow"),
        (replace(DETAILS, deadline=GONE), 0, "closed at 2018-01-16 23:59 UTC, and the host takes", "kept"),
        (
            replace(DETAILS, notebooks_only=True),
            3,
            "tiny takes no CSV: its submissions are notebooks",
            "kept",
        ),
        (replace(DETAILS, entered=False), 3, "the rules of tiny are not accepted", "https://host/rules"),
    ],
)
def test_admission_refuses(page: Details, left: int, message: str, hint: str, tmp_path: Path) -> None:
    host = FakeHost()
    host.page, host.left = page, left
    with pytest.raises(SubmissionError, match=message) as caught:
        admission(host, tmp_path / "a.csv")
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
    refuse_twice(written(tmp_path, entry), force=False)  # it may be sent again


@pytest.mark.parametrize(
    ("cause", "status"),
    [
        (requests.ConnectionError(), "sending"),
        (requests.ReadTimeout(), "sending"),
        (ConnectionResetError(), "sending"),
        (http_error(502), "sending"),
        (http_error(200, b'{"code": 500, "message": "Oops"}'), "sending"),
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


def test_wait_survives_a_host_that_is_away(ledger: Ledger) -> None:
    away = HostError("could not read the submission: Kaggle says 503")
    entry = wait(
        PENDING, FakeHost(*[away] * 4, state("7", "PENDING"), away, state("7")), ledger, lambda _: None
    )
    assert (entry.status, entry.public) == ("COMPLETE", 0.9)


def test_wait_leaves_a_host_that_stays_away(ledger: Ledger) -> None:
    with pytest.raises(HostError, match="sent as 7, but its score cannot be read: no network") as caught:
        wait(PENDING, FakeHost(HostError("no network")), ledger, lambda _: None)
    assert "leaderboard --sync" in str(caught.value.hint)


def test_updated_logs_only_news(ledger: Ledger) -> None:
    first = updated(PENDING, state("7"), ledger)
    assert updated(first, state("7"), ledger) == first
    assert logged(ledger) == ["COMPLETE"]


# --- after a kill ---

SENDING = replace(ENTRY, status="sending", message="a try")


def test_sync_finds_what_was_sent(ledger: Ledger) -> None:
    ledger.append(SENDING)
    (changed,) = sync(FakeHost(state("8")), ledger, HOST)
    assert (changed.status, changed.ref, changed.public) == ("COMPLETE", "8", 0.9)
    assert ledger.entries() == [changed]


def test_sync_sees_what_was_not_sent(ledger: Ledger, tmp_path: Path) -> None:
    ledger.append(SENDING)
    changed, foreign = sync(FakeHost(state("9", name="b.csv")), ledger, HOST)
    assert (changed.status, foreign.csv) == ("written", "b.csv")
    refuse_twice(written(tmp_path, changed), force=False)


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
        rank(host, ledger, HOST)
        assert ledger.entries()[0].selected is expected


def test_sync_leaves_other_hosts_alone(ledger: Ledger) -> None:
    ledger.append(replace(SENDING, host="kaggle:tiny"))
    ledger.append(replace(PENDING, csv="b.csv", host="kaggle:tiny"))
    assert [entry.foreign for entry in sync(FakeHost(state("7")), ledger, HOST)] == [True]
    assert [entry.status for entry in ledger.entries()] == ["sending", "PENDING", "COMPLETE"]
    assert after_kill(SENDING, FakeHost(state("7")), ledger) is None


def test_sync_takes_no_submission_for_another_of_the_same_file(ledger: Ledger) -> None:
    ledger.append(replace(PENDING, status="COMPLETE", ref="7"))
    ledger.append(SENDING)  # with --force, and its reply was lost
    (found,) = sync(FakeHost(state("8"), state("7")), ledger, HOST)
    ledger.append(SENDING)  # once more, and this time nothing arrived: what was known before holds again
    (absent,) = sync(FakeHost(state("8"), state("7")), ledger, HOST)
    assert found.ref == "8" and absent == found


def test_a_second_upload_that_is_refused_leaves_the_first_as_it_was(ledger: Ledger, tmp_path: Path) -> None:
    scored = replace(PENDING, status="COMPLETE", public=0.9)
    ledger.append(scored)
    with pytest.raises(HostError, match="at the limit"):
        upload(written(tmp_path, scored), FakeHost(refuses="at the limit"), ledger, "with --force")
    assert ledger.entries() == [scored]
    with pytest.raises(SubmissionError, match="sent before"):
        refuse_twice(written(tmp_path, ledger.entries()[0]), force=False)


def test_a_second_upload_that_was_lost_is_not_taken_for_the_first(ledger: Ledger) -> None:
    scored = replace(PENDING, status="COMPLETE", public=0.9)
    ledger.append(scored)
    ledger.append(SENDING)  # with --force
    assert after_kill(SENDING, FakeHost(state("7")), ledger) is None
    assert ledger.entries() == [scored]


@pytest.mark.parametrize(
    ("late", "status"), [(-timedelta(hours=14), "COMPLETE"), (-timedelta(days=2), "written")]
)
def test_sync_takes_no_submission_older_than_the_file(late: timedelta, status: str, ledger: Ledger) -> None:
    ledger.append(SENDING)
    changed = sync(FakeHost(replace(state("7"), date=WHEN + late)), ledger, HOST)
    assert changed[0].status == status
    assert [entry.foreign for entry in changed[1:]] == [True] * (status == "written")


def test_sync_leaves_the_rest_alone(ledger: Ledger) -> None:
    ledger.append(ENTRY)
    ledger.append(replace(ENTRY, csv="b.csv", sha256="1" * 64, status="COMPLETE", ref="9", public=0.9))
    assert sync(FakeHost(state("9", name="b.csv")), ledger, HOST) == []
    assert len(ledger.path.read_text().splitlines()) == 2


@pytest.mark.parametrize("entry", [SENDING, replace(PENDING, csv="b.csv")])
def test_sync_concludes_nothing_from_a_list_with_gaps(entry: Entry, ledger: Ledger) -> None:
    ledger.append(replace(ENTRY, csv="old.csv", status="COMPLETE", ref="7", public=0.9))
    ledger.append(entry)
    with pytest.raises(HostError, match=f"is not whole: it tells nothing of {entry.csv}"):
        sync(FakeHost(), ledger, HOST)
    assert ledger.entries()[1] == entry


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
    rank(host, ledger, HOST)
    assert [(e.rank, e.teams) for e in ledger.entries()] == [(2, 4), (3, 4), (None, None)]
    lines = ledger.path.read_text()
    rank(host, ledger, HOST)
    assert ledger.path.read_text() == lines  # only news


def test_rank_below_all_that_the_host_lists_is_unknown(ledger: Ledger) -> None:
    ledger.append(replace(PENDING, status="COMPLETE", public=0.5))
    host = FakeHost()
    host.page, host.rows = replace(DETAILS, teams=1315), board(0.95, 0.9)
    rank(host, ledger, HOST)
    assert [(e.rank, e.teams) for e in ledger.entries()] == [(None, 1315)]
