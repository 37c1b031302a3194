"""The leaderboard log: which models made which CSV, and what it scored.

One JSON object a line, append-only under a lock. A later line about the same CSV updates it, so the
state is a fold over the lines. Submissions made elsewhere stand in it, too, as their host shows them.
Standard library only, because `kagglekit leaderboard` is quick.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from kagglekit.errors import KagglekitError
from kagglekit.files.atomic import replacing
from kagglekit.files.locks import locked
from kagglekit.terminal import console

if TYPE_CHECKING:
    from kagglekit.config import Config

Status = Literal["written", "sending", "PENDING", "COMPLETE", "ERROR"]

GIT_SECONDS = 5.0  # a repository on a slow network disk must not hold up a submission
TORN = "torn"  # key of a line that keeps what a killed process had half written


def stamp(moment: datetime) -> str:
    """A time as the log has it: ISO 8601, UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A submission."""

    time: str
    """ISO 8601, UTC: when the CSV was written; of a foreign one, when it was sent."""
    csv: str
    """Its file name, beside the log."""
    sha256: str
    """Of the CSV's bytes; empty for a foreign one."""
    models: list[str]
    """Empty where the CSV was made elsewhere."""
    runs: list[str]
    weights: list[float]
    method: str = ""
    """How the runs were blended; empty where the CSV was made elsewhere, or there was one way alone."""
    decision: str = ""
    """What was done before the argmax; likewise."""
    cv_score: float | None = None
    """Weighted to the test prior, as are the ends of its interval."""
    cv_low: float | None = None
    cv_high: float | None = None
    plain: float | None = None
    """Accuracy without weights."""
    git_commit: str | None = None
    config_key: str
    host: str
    """As `host_name` has it."""
    ref: str | None = None
    """The host's name for it."""
    status: Status
    public: float | None = None
    private: float | None = None
    rank: int | None = None
    """Where its public score would have stood at the last look, among `teams`."""
    teams: int | None = None
    selected: bool | None = None
    """Whether it counts for the final score; None where the host does not tell."""
    sent: str | None = None
    """ISO 8601, UTC: when its last upload began."""
    message: str = ""
    """Sent along with it."""
    error: str = ""
    """The host's words."""
    foreign: bool = False
    """Sent by something other than this log's kagglekit, and known from the host alone."""


class Ledger:
    """The log at `path`, which need not exist."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def entries(self) -> list[Entry]:
        """Every submission in its latest state, oldest first.

        Raises:
            KagglekitError: a line is damaged, other than a last one that was cut off.
        """
        folded: dict[tuple[str, ...], tuple[int, dict[str, Any]]] = {}
        for number, line in self._lines():
            if TORN in line:
                continue
            _, earlier = folded.get(_identity(line), (0, {}))
            folded[_identity(line)] = number, earlier | line
        return [self._entry(number, line) for number, line in folded.values()]

    def find(self, sha256: str, host: str) -> Entry | None:
        """The last submission of these bytes to `host`; one that was sent before one only written."""
        same = [entry for entry in self.entries() if (entry.sha256, entry.host) == (sha256, host)]
        return max(reversed(same), key=lambda entry: entry.status != "written", default=None)

    def refs(self, host: str) -> set[str]:
        """All that `host` ever called a submission of ours, those sent again under another name included."""
        return {line["ref"] for _, line in self._lines() if line.get("host") == host and line.get("ref")}

    def sent_before(self, entry: Entry) -> Entry | None:
        """This CSV's last line with a reference: it was sent, whatever became of an upload after that."""
        sent = ((number, line) for number, line in self._lines() if line.get("ref"))
        known = [found for found in sent if _identity(found[1]) == _identity(asdict(entry))]
        return self._entry(*known[-1]) if known else None

    def append(self, entry: Entry) -> None:
        """Add a submission, or the new state of one. It is on the disk when this returns.

        Raises:
            OSError: it could not be written, for example because the disk is full.
        """
        line = json.dumps(asdict(entry), allow_nan=False).encode() + b"\n"
        with locked(self.path, "the leaderboard log"):
            data = self.path.read_bytes() if self.path.exists() else b""
            whole = data.rfind(b"\n") + 1
            torn = data[whole:]
            if torn and _parsed(torn) is None:
                # Written over the fragment, and longer than it, so a kill right here leaves another fragment.
                text = torn.decode("utf-8", "backslashreplace")
                line = json.dumps({TORN: text}).encode() + b"\n" + line
                console.note(f"{self.path.name}: the last line had been cut off and does not count: {text}")
            elif torn:  # only its line end is missing
                whole, line = len(data), b"\n" + line
            with self.path.open("r+b" if data else "wb") as file:
                file.seek(whole)
                file.write(line)
                file.flush()
                os.fsync(file.fileno())

    def _lines(self) -> Iterator[tuple[int, dict[str, Any]]]:
        data = self.path.read_bytes() if self.path.exists() else b""
        *whole, last = data.split(b"\n")
        for number, text in enumerate(whole, start=1):
            if not text.strip():
                continue
            if (line := _parsed(text)) is None:
                raise self._damaged(number)
            yield number, line
        if last and (line := _parsed(last)) is not None:
            yield len(whole) + 1, line

    def _entry(self, number: int, line: dict[str, Any]) -> Entry:
        """The submission in a line; keys that a newer kagglekit wrote are left alone."""
        try:
            return Entry(**{key: value for key, value in line.items() if key in FIELDS})
        except TypeError as error:  # a key is missing
            raise self._damaged(number) from error

    def _damaged(self, number: int) -> KagglekitError:
        return KagglekitError(
            f"{self.path}: line {number} is not a submission",
            hint=f"restore the file from git, or delete line {number}",
        )


def host_name(config: Config) -> str:
    """How the log tells hosts apart: a rehearsal on the local one is no submission to Kaggle."""
    return f"{config.competition.host}:{config.competition.slug}"


def best(entries: Iterable[Entry], score: Literal["cv_score", "public"]) -> Entry | None:
    """The entry that is highest in this score; the earliest, where several are. None: none has one."""
    scored = [entry for entry in entries if getattr(entry, score) is not None and entry.status != "ERROR"]
    return max(scored, key=lambda entry: float(getattr(entry, score)), default=None)


FIELDS = tuple(field.name for field in fields(Entry))


def to_csv(entries: Iterable[Entry], path: Path) -> None:
    """Export for a spreadsheet: a row a submission, lists separated by spaces."""
    with replacing(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(FIELDS)
        for entry in entries:
            writer.writerow(
                " ".join(map(str, cell)) if isinstance(cell, list) else cell
                for cell in asdict(entry).values()
            )


def git_commit(folder: Path = Path()) -> str | None:
    """Short hash of the commit that `folder` is at, "+" behind it where tracked files differ from it.

    The log itself does not count: every submission changes it. None outside a repository, in one
    without a commit, and where git is not installed or hangs.
    """

    def git(*args: str) -> subprocess.CompletedProcess[str]:
        command = ["git", "-C", str(folder), *args]
        return subprocess.run(command, capture_output=True, text=True, timeout=GIT_SECONDS, check=False)

    try:
        head = git("rev-parse", "--short", "HEAD")
        if head.returncode != 0:
            return None
        changed = git("diff", "--quiet", "HEAD", "--", ":/", ":(top,exclude)*leaderboard.jsonl")
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return None
    return head.stdout.strip() + "+" * (changed.returncode != 0)


def _identity(line: dict[str, Any]) -> tuple[str, ...]:
    """What a later line must share to be about the same submission. Foreign files may all have one name."""
    if line.get("foreign"):
        return str(line.get("host")), str(line.get("ref"))
    return line["csv"], line["sha256"]


def _parsed(text: bytes) -> dict[str, Any] | None:
    """The JSON object in a line that belongs into the log, else None."""
    try:
        line = json.loads(text)
    except ValueError:  # not JSON, not UTF-8
        return None
    if not isinstance(line, dict):
        return None
    is_submission = isinstance(line.get("csv"), str) and isinstance(line.get("sha256"), str)
    return line if is_submission or TORN in line else None
