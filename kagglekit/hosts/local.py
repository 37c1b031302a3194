"""A local folder as a host, for a class, a rehearsal, the demo and the tests.

It behaves like Kaggle: files to download, an upload that is accepted first and graded later, errors
that are shown as a status, public and private scores, a daily limit, a deadline.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from kagglekit.config import Config
from kagglekit.errors import HostError, plural
from kagglekit.files.atomic import move_into_place, write_bytes
from kagglekit.files.json_lines import line_of, parsed, with_line_end, without_zeros
from kagglekit.files.json_shape import shaped
from kagglekit.files.locks import lock_file
from kagglekit.hosts import base
from kagglekit.hosts.base import HostFile, SubmissionState
from kagglekit.hosts.local_grading import Grade, Grader
from kagglekit.hosts.local_notebooks import LocalNotebooks
from kagglekit.scoring.metrics import make_metric

CHUNK_BYTES = 1024**2


@dataclass(frozen=True)
class Record:
    """A line of the log. The grade is computed at once, and shown when the grading time is over."""

    ref: str
    date: str
    """ISO 8601, UTC."""
    file_name: str
    message: str
    public: float | None
    private: float | None
    error: str

    @property
    def time(self) -> datetime:
        """Time of the upload, UTC."""
        return datetime.fromisoformat(self.date)


def connect(config: Config, folder: Path) -> LocalHost:
    """Open the host of competition.local, which keeps its own files in folder/host/<slug>."""
    return LocalHost(config, folder / "host" / config.competition.slug)


class LocalHost:
    """A competition in a local folder; see `base.Host`. state_dir keeps submissions.jsonl and every CSV."""

    def __init__(self, config: Config, state_dir: Path) -> None:
        assert config.competition.local is not None  # checked by the config
        self._config = config
        self._local = config.competition.local
        self._state_dir = state_dir
        self._log_path = state_dir / "submissions.jsonl"
        self._grader = Grader(config)
        self.notebooks = LocalNotebooks(config, state_dir, self._accept)

    def details(self) -> base.Details:
        """Return the competition as competition.yaml describes it."""
        competition, standing = self._config.competition, self.leaderboard()
        return base.Details(
            slug=competition.slug,
            title=competition.slug,
            metric=competition.metric,
            deadline=self._deadline,
            daily_limit=self._local.daily_limit,
            files_url=str(self._local.files),
            entered=True,
            teams=len(standing),
            rank=standing[0].rank if standing else None,
        )

    def evaluation(self) -> str:
        """Return nothing: there is no page."""
        return ""

    def files(self, most: int | None = None) -> list[HostFile]:
        """List every file of the folder except the solution, sorted by name."""
        root = self._local.files
        if not root.is_dir():
            raise HostError(
                f"the competition folder {root} does not exist", hint="set competition.local.files"
            )
        solution = self._local.solution.resolve()
        paths = (p for p in sorted(root.rglob("[!.]*")) if p.is_file() and p.resolve() != solution)
        return [_host_file(path, root) for path in paths]

    def bundle(self) -> HostFile | None:
        """Return None: loose files are read where they lie, for a copy would only take their space again."""
        return None

    def download(self, name: str, folder: Path, advance: Callable[[int], None]) -> base.Arrived:
        """Copy a file; an interrupted copy continues where it stopped.

        Raises:
            HostError: there is no such file, it does not fit on the disk, or it changed during the copy.
        """
        file = base.pick_file(self.files(), name)
        source, target = self._local.files / name, base.target_path(folder, name)
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(target.name + ".part")
        size = source.stat().st_size if file.size is None else file.size
        done = _resumable_bytes(part, source)
        base.check_space(target.parent, size - done, name)
        advance(done)
        _copy_rest(source, part, done, advance)
        if part.stat().st_size != size:
            raise HostError(
                f"{name} is {part.stat().st_size:,} bytes, expected {size:,}",
                hint="is it still being written?",
            )
        move_into_place(part, target)
        return base.Arrived(target, proven=True)  # a copy from disk to disk loses no bytes

    def submit(self, path: Path, message: str) -> str:
        """Accept a CSV. As on Kaggle, a malformed file is accepted, too, and its status becomes ERROR.

        Raises:
            HostError: the deadline has passed, the daily limit is reached, or there is no file.
        """
        if not path.is_file():
            raise HostError(f"{path} does not exist", hint="write a submission first: kagglekit submit")
        return self._accept(path.name, message, path.read_bytes)

    def _accept(self, file_name: str, message: str, answer: Callable[[], bytes | str]) -> str:
        """Grade and log a submission; `answer` returns its bytes, or the error of what should write them."""
        now = datetime.now(UTC)
        if self._over(now):
            raise HostError(
                f"the competition closed at {self._deadline:%Y-%m-%d %H:%M} UTC",
                hint="competition.local.deadline in competition.yaml sets the time",
            )
        self._state_dir.mkdir(parents=True, exist_ok=True)
        with lock_file(self._state_dir / "lock"):
            records = self._records()
            self._check_daily_limit(records, now)
            ref = str(len(records) + 1)
            data = answer()
            if isinstance(data, str):
                grade = Grade(data)
            else:
                grade = self._grader.grade(data)
                write_bytes(self._state_dir / f"{ref}.csv", data)
            sent = datetime.now(UTC).isoformat()
            scores = grade.public, grade.private
            _append_log(self._log_path, Record(ref, sent, file_name, message, *scores, grade.error))
        return ref

    def submission(self, ref: str) -> SubmissionState:
        """Return one submission, with its scores once they are shown."""
        records = self._records()
        for record in records:
            if record.ref == ref:
                return self._state(record)
        raise HostError(
            f"there is no submission {ref}", hint=f"this host has {plural(len(records), 'submission')}"
        )

    def submissions(self) -> list[SubmissionState]:
        """List all submissions, newest first."""
        return [self._state(record) for record in reversed(self._records())]

    def selected(self) -> set[str] | None:
        """Return None: no submissions are selected, the best one counts."""
        return None

    def limits(self) -> base.Limits:
        """Count today's submissions (UTC) without failed ones. After the deadline none is allowed."""
        now, daily = datetime.now(UTC), self._local.daily_limit
        today = _count_today(self._records(), now)
        left = 0 if self._over(now) else max(0, daily - today)
        return base.Limits(today=today, allowed_now=left, daily=daily)

    def leaderboard(self) -> list[base.LeaderboardRow]:
        """Return one team, "you", with its best public score."""
        scores = [state.public for state in self.submissions() if state.public is not None]
        competition, kind = self._config.competition, self._config.labels.kind
        metric = make_metric(competition.metric, kind, competition.metric_parameters)
        best = metric.best(scores, float)
        return [] if best is None else [base.LeaderboardRow(1, "you", best)]

    def _records(self) -> list[Record]:
        """Read every complete line of the log. A last line that a kill cut off is not a submission.

        Raises:
            HostError: a line is damaged.
        """
        path = self._log_path
        data = path.read_bytes() if path.is_file() else b""
        complete, _, _cut_off = with_line_end(without_zeros(data)).rpartition(b"\n")
        try:
            return [shaped(Record, parsed(line)) for line in complete.split(b"\n") if line]
        except ValueError as error:
            raise HostError(f"{path} is damaged: {error}", hint="repair or remove the line") from error

    @property
    def _deadline(self) -> datetime | None:
        deadline = self._local.deadline
        if deadline is None or deadline.tzinfo is not None:
            return deadline
        return deadline.replace(tzinfo=UTC)

    def _over(self, now: datetime) -> bool:
        return self._deadline is not None and now > self._deadline

    def _state(self, record: Record) -> SubmissionState:
        now = datetime.now(UTC)
        # a clock that was set back since then must not hold a score back
        graded = not 0 <= (now - record.time).total_seconds() < self._local.grading_seconds
        revealed = graded and (self._deadline is None or self._over(now))
        return SubmissionState(
            ref=record.ref,
            date=record.time,
            file_name=record.file_name,
            status="PENDING" if not graded else "ERROR" if record.error else "COMPLETE",
            public=record.public if graded else None,
            private=record.private if revealed else None,
            error=record.error if graded else "",
            message=record.message,
        )

    def _check_daily_limit(self, records: list[Record], now: datetime) -> None:
        if _count_today(records, now) < self._local.daily_limit:
            return
        midnight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
        minutes = math.ceil((midnight - now).total_seconds() / 60)
        raise HostError(
            f"the daily limit of {plural(self._local.daily_limit, 'submission')} is reached",
            hint=f"the limit resets at 00:00 UTC, in {minutes // 60} h {minutes % 60:02d} min",
        )


def _host_file(path: Path, root: Path) -> HostFile:
    name, stat = path.relative_to(root).as_posix(), path.stat()
    return HostFile(name, stat.st_size, datetime.fromtimestamp(stat.st_mtime, UTC))


def _count_today(records: list[Record], now: datetime) -> int:
    """Count the submissions of the UTC day of `now`. As on Kaggle, failed ones do not count."""
    return sum(r.time.astimezone(UTC).date() == now.date() and not r.error for r in records)


def _resumable_bytes(part: Path, source: Path) -> int:
    """Return how many bytes of `part` can be kept: none where the source is newer or shorter."""
    if not part.is_file():
        return 0
    copied, whole = part.stat(), source.stat()
    return copied.st_size if copied.st_mtime >= whole.st_mtime and copied.st_size <= whole.st_size else 0


def _copy_rest(source: Path, part: Path, done: int, advance: Callable[[int], None]) -> None:
    with source.open("rb") as reader, part.open("r+b" if done else "wb") as writer:
        reader.seek(done)
        writer.seek(done)
        while chunk := reader.read(CHUNK_BYTES):
            writer.write(chunk)
            advance(len(chunk))


def _append_log(path: Path, record: Record) -> None:
    """Append a line, in place of one that a kill cut off."""
    with path.open("a+b") as log:
        log.seek(0)
        complete, end, _cut_off = with_line_end(log.read().rstrip(b"\0")).rpartition(b"\n")
        log.truncate(len(complete))
        log.write(end + line_of(asdict(record)))
        log.flush()
        os.fsync(log.fileno())
