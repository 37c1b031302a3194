"""A host and log entries for tests of submissions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import requests

from kagglekit.errors import HostError
from kagglekit.files.sample import Sample
from kagglekit.hosts.base import Details, LeaderboardRow, Limits, Status, SubmissionState
from kagglekit.submission.ledger import Entry, Ledger
from kagglekit.submission.table import build
from kagglekit.submission.write import SubmissionFile

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


CLASSES = ("yes", "no", "silence")
SAMPLE = Sample(["b.wav", "a.wav", "d.wav", "c.wav"], "fname", ("label",))
PREDICTED = pl.DataFrame(
    {"clip_id": ["a.wav", "b.wav", "c.wav", "d.wav"], "label": ["yes", "no", "yes", "silence"]}
)


def submission(**columns: Sequence[str | None]) -> pl.DataFrame:
    """A good submission with other columns in place of its own."""
    return build(SAMPLE, PREDICTED).with_columns(
        **{name: pl.Series(values) for name, values in columns.items()}
    )


DETAILS = Details("tiny", "Tiny", "accuracy", None, 5, rules_url="https://host/rules", entered=True)


PENDING = replace(ENTRY, status="PENDING", ref="7")
SENDING = replace(ENTRY, status="sending", message="a try")


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
        """The states; what is in `late` shows at the second look after an upload."""
        shown = [one for one in self.states if isinstance(one, SubmissionState)]
        self.states = self.late * bool(self.sent) + self.states
        return shown

    def details(self) -> Details:
        return self.page

    def limits(self) -> Limits:
        return Limits(today=2, allowed_now=self.left, daily=None)

    def leaderboard(self) -> list[LeaderboardRow]:
        return self.rows

    def selected(self) -> set[str] | None:
        return self.chosen


def written(tmp_path: Path, entry: Entry = ENTRY) -> SubmissionFile:
    return SubmissionFile(tmp_path / entry.csv, pl.DataFrame(), [], entry)


def logged(ledger: Ledger) -> list[str]:
    """The status in each line."""
    return [
        pl.Series([line]).str.json_path_match("$.status")[0] for line in ledger.path.read_text().splitlines()
    ]
