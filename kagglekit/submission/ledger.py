"""The leaderboard log: which models made which CSV, and its scores.

Each line is a JSON object, appended under a lock. A later line about the same CSV updates the earlier one.
Submissions made without kagglekit are logged as the host shows them. Nothing heavy is imported here, so that
`kagglekit leaderboard` starts quickly.
"""

from __future__ import annotations

import csv
import os
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from kagglekit.errors import KagglekitError
from kagglekit.files.atomic import replacing
from kagglekit.files.checksums import KEY
from kagglekit.files.json_lines import line_of, parsed, with_line_end, without_zeros
from kagglekit.files.json_shape import shaped
from kagglekit.files.locks import locked
from kagglekit.terminal import console

if TYPE_CHECKING:
    from kagglekit.config import Config
    from kagglekit.files.workspace import Workspace
    from kagglekit.scoring.metrics import Metric

Status = Literal["written", "sending", "PENDING", "COMPLETE", "ERROR"]

GIT_SECONDS = 5.0  # timeout: a repository on a slow network disk must not delay a submission
TORN = "torn"  # key of a line that keeps the fragment which a killed process left


def stamp(moment: datetime) -> str:
    """Return a time in the log's format: ISO 8601, UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One submission."""

    time: str
    """When the CSV was written, or a foreign submission sent; ISO 8601, UTC."""
    csv: str
    """File name, in the folder of the log; of a notebook its name and version."""
    sha256: str
    """Hash of the CSV's bytes, or of all files of a built notebook; empty for a foreign submission."""
    models: list[str]
    """Empty for an imported CSV and a foreign submission."""
    runs: list[str]
    weights: list[float]
    method: str = ""
    """How the runs were blended; empty where unknown."""
    decision: str = ""
    """Post-processing rule; empty where unknown."""
    rule: str = ""
    """What the decision was fitted to, such as a threshold and its metric; empty where nothing was."""
    metric: str = ""
    """Of the CV score, with its parameters; empty where unknown, as in entries of an earlier version."""
    cv_score: float | None = None
    """Expected public score, weighted to the test prior like its interval."""
    cv_low: float | None = None
    cv_high: float | None = None
    plain: float | None = None
    """OOF metric with every clip weighted equally."""
    git_commit: str | None = None
    config_key: str
    host: str
    """See `host_name`."""
    ref: str | None = None
    """The host's reference."""
    status: Status
    public: float | None = None
    private: float | None = None
    rank: int | None = None
    """Rank of the public score at the last sync, among `teams`."""
    teams: int | None = None
    selected: bool | None = None
    """Whether it counts for the final score; None where the host does not say."""
    sent: str | None = None
    """When the last upload began; ISO 8601, UTC."""
    after: str | None = None
    """The host's newest submission when the last upload began, "" where it had none; None where unknown."""
    external: list[str] = field(default_factory=list)
    """Data besides the competition's own that models were trained on: folders and Kaggle data sets."""
    notebook: str = ""
    """The notebook that was submitted, as OWNER/NAME; empty for a CSV."""
    notebook_version: int | None = None
    dataset_version: int | None = None
    """Of the data set that the notebook reads its models from."""
    message: str = ""
    """Submission description."""
    error: str = ""
    """The host's error message."""
    foreign: bool = False
    """Whether it was sent without kagglekit and is known from the host alone."""

    @property
    def mark(self) -> str:
        """The text in the description by which a notebook's submission is found; "" for a CSV.

        A CSV is found by its name, but all notebooks write the same.
        """
        return f"[kagglekit {self.sha256[:12]} v{self.notebook_version}]" if self.notebook else ""

    def has_cv(self, metric: Metric) -> bool:
        """Tell whether there is a CV score that can be compared with those of a metric."""
        return self.cv_score is not None and self.metric in ("", metric.title)


FIELDS = tuple(one.name for one in fields(Entry))


class Ledger:
    """The log at `path`, which may not exist yet."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def entries(self) -> list[Entry]:
        """Return every submission in its latest state, oldest first.

        Raises:
            KagglekitError: a line is damaged, other than a last line that was cut off.
        """
        folded: dict[tuple[str, ...], tuple[int, dict[str, Any]]] = {}
        for number, line in self._lines():
            if TORN in line:
                continue
            _, earlier = folded.get(_identity(line), (0, {}))
            folded[_identity(line)] = number, earlier | line
        return [self._entry(number, line) for number, line in folded.values()]

    def find(self, sha256: str, host: str) -> Entry | None:
        """Return the last submission of these bytes to `host`; a sent one comes before one only written."""
        same = [entry for entry in self.entries() if (entry.sha256, entry.host) == (sha256, host)]
        return max(reversed(same), key=lambda entry: entry.status != "written", default=None)

    def refs(self, host: str) -> set[str]:
        """Return all references that `host` gave to our submissions, earlier uploads of a CSV included."""
        return {line["ref"] for _, line in self._lines() if line.get("host") == host and line.get("ref")}

    def sent_before(self, entry: Entry) -> Entry | None:
        """Return this CSV's last state that has a reference, from before an upload that failed."""
        sent = [(number, line) for number, line in self._lines() if line.get("ref")]
        same = [pair for pair in sent if _identity(pair[1]) == _identity(asdict(entry))]
        return self._entry(*same[-1]) if same else None

    def append(self, entry: Entry) -> None:
        """Append a submission or its new state, and sync the file to disk.

        Raises:
            OSError: writing failed, for example because the disk is full.
        """
        line = line_of(asdict(entry))
        with locked(self.path, "the leaderboard log"):
            data = with_line_end(self._read().rstrip(b"\0"))
            whole = data.rfind(b"\n") + 1
            torn = data[whole:]
            if torn and _parsed(torn) is None:
                # Overwrites the fragment with something longer, so a kill right here leaves another fragment.
                text = torn.decode("utf-8", "backslashreplace")
                line = line_of({TORN: text}) + line
                console.note(f"{self.path.name}: ignoring the last line, which was cut off: {text}")
            elif torn:  # only the line end is missing
                whole, line = len(data), b"\n" + line
            with self.path.open("r+b" if data else "wb") as file:
                file.seek(max(whole - 1, 0))  # the line end is written, too, as it may be damaged
                file.write(data[whole - 1 : whole] + line if whole else line)
                file.truncate()  # zeros, which a power cut has left
                file.flush()
                os.fsync(file.fileno())

    def _read(self) -> bytes:
        """Return the file's bytes, b"" before the first submission.

        Raises:
            KagglekitError: they are all 0: what stood there is lost, and would be overwritten.
        """
        data = self.path.read_bytes() if self.path.exists() else b""
        if data and not data.strip(b"\0"):
            raise KagglekitError(
                f"{self.path} holds nothing but zeros: a power cut or a bad disk has taken its submissions",
                hint="restore the file from git, or remove it; then kagglekit leaderboard --sync",
            )
        return data

    def _lines(self) -> Iterator[tuple[int, dict[str, Any]]]:
        *whole, last = with_line_end(without_zeros(self._read())).split(b"\n")
        for number, text in enumerate(whole, start=1):
            if not text.strip():
                continue
            if (line := _parsed(text)) is None:
                raise self._damaged(number)
            yield number, line
        if last and (line := _parsed(last)) is not None:
            yield len(whole) + 1, line

    def _entry(self, number: int, line: dict[str, Any]) -> Entry:
        """Return the submission in a line, ignoring unknown keys, which a newer kagglekit may write."""
        try:
            return shaped(Entry, {key: value for key, value in line.items() if key in FIELDS})
        except ValueError as error:
            raise self._damaged(number) from error

    def _damaged(self, number: int) -> KagglekitError:
        return KagglekitError(
            f"{self.path}: line {number} is not a submission as it was written",
            hint="restore the file from git, then kagglekit leaderboard --sync adds what was sent since; or "
            f"delete line {number} (if you edited it: its key {KEY})",
        )


def host_name(config: Config) -> str:
    """Return the host's name in the log, e.g. `kaggle:birdclef-2026` or `local:birdclef-2026`."""
    return f"{config.competition.host}:{config.competition.slug}"


def best(entries: Iterable[Entry], score: Literal["cv_score", "public"], metric: Metric) -> Entry | None:
    """Return the entry with the best score, the earliest of equal ones; None where none has a score.

    CV scores by another metric do not count.
    """
    scored = [entry for entry in entries if getattr(entry, score) is not None and entry.status != "ERROR"]
    if score == "cv_score":
        scored = [entry for entry in scored if entry.has_cv(metric)]
    return metric.best(scored, lambda entry: float(getattr(entry, score)))


def scored_entries(workspace: Workspace, metric: Metric) -> list[Entry]:
    """Return the submissions to this host with a CV score by this metric and a public score, oldest first."""
    entries = sorted(Ledger(workspace.ledger_path).entries(), key=lambda entry: entry.time)
    here = [entry for entry in entries if entry.host == host_name(workspace.config)]
    return [entry for entry in here if entry.has_cv(metric) and entry.public is not None]


def cv_public_pairs(entries: Sequence[Entry]) -> list[tuple[float, float]]:
    """Return the (CV, public) scores of entries that have both."""
    return [(e.cv_score, e.public) for e in entries if e.cv_score is not None and e.public is not None]


def to_csv(entries: Iterable[Entry], path: Path) -> None:
    """Export the log as a CSV, one row per submission, lists separated by spaces."""
    with replacing(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(FIELDS)
        for entry in entries:
            writer.writerow(
                " ".join(map(str, cell)) if isinstance(cell, list) else cell
                for cell in asdict(entry).values()
            )


def git_commit(folder: Path = Path()) -> str | None:
    """Return the short hash of the current commit, with "+" appended where tracked files differ from it.

    The log itself is ignored, since every submission changes it. None outside a repository, before the
    first commit, and where git is missing or hangs.
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
    """Return what lines about one submission share. Foreign submissions may all have the same file name."""
    if line.get("foreign"):
        return str(line.get("host")), str(line.get("ref"))
    return line["csv"], line["sha256"]


def _parsed(text: bytes) -> dict[str, Any] | None:
    """Return the JSON object in a line, or None where it is no line of the log."""
    line = parsed(text)
    if line is None:
        return None
    is_submission = isinstance(line.get("csv"), str) and isinstance(line.get("sha256"), str)
    return line if is_submission or TORN in line else None
