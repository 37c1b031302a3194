"""A folder that stands in for Kaggle: a class, a rehearsal, the demo and the tests go through it.

It imitates what can be seen from outside: files to download, an upload that is accepted first and
graded later, errors that arrive as a status, public and private scores, a daily limit, a deadline.
"""

from __future__ import annotations

import io
import json
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

import polars as pl
from filelock import FileLock

from kagglekit.config import Config
from kagglekit.errors import HostError, KagglekitError
from kagglekit.files.atomic import move_into_place, write_bytes
from kagglekit.files.sample import read_sample
from kagglekit.hosts.base import (
    Arrived,
    Details,
    HostFile,
    LeaderboardRow,
    Limits,
    SubmissionState,
    check_space,
    pick_file,
    target_path,
)
from kagglekit.scoring.metrics import METRICS
from kagglekit.scoring.task import Task

CHUNK_BYTES = 1024**2
USAGES = ("Public", "Private", "Ignored")


def connect(config: Config, folder: Path) -> LocalHost:
    """The host of competition.local; its memory is folder/host/<slug>."""
    return LocalHost(config, folder / "host" / config.competition.slug)


@dataclass(frozen=True)
class Record:
    """A line of submissions.jsonl. The grade is known at once, and shown when the time has come."""

    ref: str
    date: str
    file_name: str
    message: str
    public: float | None
    private: float | None
    error: str

    @property
    def when(self) -> datetime:
        """Moment of the upload, UTC."""
        return datetime.fromisoformat(self.date)


class LocalHost:
    """See `base.Host`.

    Args:
        config: competition.local, the submission's columns and the sample submission's name count.
        state_dir: keeps submissions.jsonl and a copy of every CSV.
    """

    def __init__(self, config: Config, state_dir: Path) -> None:
        assert config.competition.local is not None  # config.py sees to it
        self._config = config
        self._local = config.competition.local
        self._state_dir = state_dir
        self._log_path = state_dir / "submissions.jsonl"

    def details(self) -> Details:
        """The competition as competition.yaml describes it."""
        competition, standing = self._config.competition, self.leaderboard()
        return Details(
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

    def files(self) -> list[HostFile]:
        """Every file of the folder, sorted by name, without the solution."""
        root = self._local.files
        if not root.is_dir():
            raise HostError(
                f"the competition's folder {root} is not there", hint="set competition.local.files"
            )
        solution = self._local.solution.resolve()
        found = (p for p in sorted(root.rglob("[!.]*")) if p.is_file() and p.resolve() != solution)
        return [_host_file(path, root) for path in found]

    def download(self, name: str, folder: Path, advance: Callable[[int], None]) -> Arrived:
        """Copy a file; an earlier copy that was cut off goes on where it stopped.

        Raises:
            HostError: there is no such file, it does not fit on the disk, or it changed meanwhile.
        """
        file = pick_file(self.files(), name)
        source, target = self._local.files / name, target_path(folder, name)
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(target.name + ".part")
        size = source.stat().st_size if file.size is None else file.size
        done = _resumable_bytes(part, source)
        check_space(target.parent, size - done, name)
        advance(done)
        _copy_rest(source, part, done, advance)
        if part.stat().st_size != size:
            raise HostError(
                f"{name} is {part.stat().st_size:,} bytes, expected {size:,}",
                hint="is it still being written?",
            )
        move_into_place(part, target)
        return Arrived(target, proven=True)  # from disk to disk, where nothing can get lost on the way

    def submit(self, path: Path, message: str) -> str:
        """Take a CSV. As on Kaggle, a wrong file is taken too: its status becomes ERROR.

        Raises:
            HostError: the deadline has passed, today's submissions are used up, or there is no file.
        """
        now = datetime.now(UTC)
        if self._over(now):
            raise HostError(
                f"the competition closed at {self._deadline:%Y-%m-%d %H:%M} UTC",
                hint="competition.local.deadline in competition.yaml says so",
            )
        if not path.is_file():
            raise HostError(f"no file {path} to submit", hint="`kagglekit submit` writes one")
        self._state_dir.mkdir(parents=True, exist_ok=True)
        with FileLock(self._state_dir / "lock"):
            records = self._records()
            self._check_daily_limit(records, now)
            ref = str(len(records) + 1)
            data = path.read_bytes()
            error, public, private = self._grade(data)
            write_bytes(self._state_dir / f"{ref}.csv", data)
            when = datetime.now(UTC).isoformat()
            self._append(Record(ref, when, path.name, message, public, private, error))
        return ref

    def submission(self, ref: str) -> SubmissionState:
        """What a class would see of one submission now."""
        for record in self._records():
            if record.ref == ref:
                return self._state(record)
        raise HostError(f"there is no submission {ref}", hint=f"known: 1 to {len(self._records())}")

    def submissions(self) -> list[SubmissionState]:
        """All submissions, newest first."""
        return [self._state(record) for record in reversed(self._records())]

    def selected(self) -> set[str] | None:
        """None is: here the best one wins."""
        return None

    def limits(self) -> Limits:
        """Submissions of today, UTC; failed ones do not count. After the deadline none is allowed."""
        now, daily = datetime.now(UTC), self._local.daily_limit
        today = _counted(self._records(), now)
        left = 0 if self._over(now) else max(0, daily - today)
        return Limits(today=today, allowed_now=left, daily=daily)

    def leaderboard(self) -> list[LeaderboardRow]:
        """One team, you, with its best public score."""
        scores = [state.public for state in self.submissions() if state.public is not None]
        return [LeaderboardRow(1, "you", max(scores))] if scores else []

    # --- what is known when ---

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
        graded = now >= record.when + timedelta(seconds=self._local.grading_seconds)
        revealed = graded and (self._deadline is None or self._over(now))
        return SubmissionState(
            ref=record.ref,
            date=record.when,
            file_name=record.file_name,
            status="PENDING" if not graded else "ERROR" if record.error else "COMPLETE",
            public=record.public if graded else None,
            private=record.private if revealed else None,
            error=record.error if graded else "",
            message=record.message,
        )

    def _check_daily_limit(self, records: list[Record], now: datetime) -> None:
        if _counted(records, now) < self._local.daily_limit:
            return
        midnight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
        minutes = math.ceil((midnight - now).total_seconds() / 60)
        raise HostError(
            f"all {self._local.daily_limit} submissions of today are used",
            hint=f"the limit resets at 00:00 UTC, in {minutes // 60} h {minutes % 60:02d} min",
        )

    # --- grading ---

    def _grade(self, data: bytes) -> tuple[str, float | None, float | None]:
        """(error, public, private) of a submission's bytes; error is empty when they are well-formed."""
        columns, guesses = self._config.submission, Task.of(self._config).columns
        try:
            table = _read_csv(data)
        except pl.exceptions.PolarsError as error:
            return f"Submission could not be read as CSV: {_first_line(error)}", None, None
        problem = _problem(table, columns.id, guesses, self._valid_ids)
        if problem:
            return problem, None, None
        if self._config.separator is not None:
            return self._grade_ranks(table)
        joined = self._solution.join(table.select(id=columns.id, guess=columns.label), on="id")
        right = joined.select("usage", right=pl.col("guess") == pl.col("label"))
        return "", _share(right, "Public"), _share(right, "Private")

    def _grade_ranks(self, table: pl.DataFrame) -> tuple[str, float | None, float | None]:
        """The competition's metric of probabilities, one column a class."""
        classes, metric = list(self._config.labels.classes), METRICS[self._config.competition.metric]
        try:
            guesses = table.select(
                pl.col(self._config.submission.id).alias("id"), pl.col(classes).cast(pl.Float64)
            )
        except pl.exceptions.PolarsError as error:
            return f"Submission contains values that are no numbers: {_first_line(error)}", None, None
        joined = self._solution.join(guesses, on="id")
        scores = []
        for usage in ("Public", "Private"):
            rows = joined.filter(pl.col("usage") == usage)
            truth = Task.of(self._config).truth(rows["label"])
            scores.append(round(metric(truth, rows.select(classes).to_numpy()), 5) if len(rows) else None)
        return "", scores[0], scores[1]

    @cached_property
    def _valid_ids(self) -> pl.Series:
        """Ids of the sample submission: what a submission must hold."""
        name, columns = self._config.data.sample_submission, self._config.submission
        pick_file(self.files(), name)
        try:
            sample = read_sample(self._local.files / name, columns.id, Task.of(self._config).columns)
        except KagglekitError as error:
            raise HostError(str(error), hint=error.hint) from error
        return pl.Series(sample.ids, dtype=pl.String)

    @cached_property
    def _solution(self) -> pl.DataFrame:
        """Columns id, label, usage. Without a Usage column every row is public."""
        path, columns = self._local.solution, self._config.submission
        if not path.is_file():
            raise HostError(f"the solution {path} is not there", hint="set competition.local.solution")
        table = _own_csv(path.read_bytes(), path.name)
        missing = {columns.id, columns.label} - set(table.columns)
        if missing:
            raise HostError(
                f"{path} has no column {', '.join(sorted(missing))}", hint="it needs an id and a label"
            )
        usage = pl.col("Usage") if "Usage" in table.columns else pl.lit("Public")
        solution = table.select(id=columns.id, label=columns.label, usage=usage)
        self._check_solution(solution)
        if self._config.separator is not None:  # an empty cell is a clip of no class
            found = [Task.of(self._config).label_of(cell or "") for cell in solution["label"]]
            solution = solution.with_columns(label=pl.Series(found, dtype=pl.String))
        return solution

    def _check_solution(self, solution: pl.DataFrame) -> None:
        path = self._local.solution
        unknown = solution.filter(~pl.col("id").is_in(self._valid_ids.implode()))
        if len(unknown):
            raise HostError(
                f"{path} has {len(unknown):,} ids that the sample lacks, first '{unknown['id'][0]}'",
                hint="does the solution belong to this competition?",
            )
        if solution["id"].is_duplicated().any():
            raise HostError(f"{path} has an id twice", hint="one row for each clip")
        odd = set(solution["usage"]) - set(USAGES)
        if odd:
            raise HostError(f"{path}: Usage '{odd.pop()}' is not known", hint="known: " + ", ".join(USAGES))

    # --- memory ---

    def _records(self) -> list[Record]:
        """Every whole line; one that a kill cut off ends the file and is not a submission."""
        if not self._log_path.is_file():
            return []
        whole, _, _torn = self._log_path.read_text(encoding="utf-8").rpartition("\n")
        try:
            return [Record(**json.loads(line)) for line in whole.splitlines()]
        except (ValueError, TypeError) as error:
            raise HostError(
                f"{self._log_path} is damaged: {error}", hint="mend or remove the line"
            ) from error

    def _append(self, record: Record) -> None:
        line = json.dumps(asdict(record)) + "\n"
        with self._log_path.open("a+b") as log:
            log.seek(0)
            log.truncate(log.read().rfind(b"\n") + 1)
            log.write(line.encode())
            log.flush()
            os.fsync(log.fileno())


def _host_file(path: Path, root: Path) -> HostFile:
    stat = path.stat()
    return HostFile(
        path.relative_to(root).as_posix(), stat.st_size, datetime.fromtimestamp(stat.st_mtime, UTC)
    )


def _counted(records: list[Record], now: datetime) -> int:
    """Submissions of the UTC day of `now`. Kaggle does not count those that failed."""
    return sum(r.when.astimezone(UTC).date() == now.date() and not r.error for r in records)


def _resumable_bytes(part: Path, source: Path) -> int:
    """Bytes of `part` that can stay: none if the source is newer, or shorter."""
    if not part.is_file():
        return 0
    have, wanted = part.stat(), source.stat()
    return have.st_size if have.st_mtime >= wanted.st_mtime and have.st_size <= wanted.st_size else 0


def _copy_rest(source: Path, part: Path, done: int, advance: Callable[[int], None]) -> None:
    with source.open("rb") as reader, part.open("r+b" if done else "wb") as writer:
        reader.seek(done)
        writer.seek(done)
        while chunk := reader.read(CHUNK_BYTES):
            writer.write(chunk)
            advance(len(chunk))


def _read_csv(data: bytes) -> pl.DataFrame:
    """A CSV with every column as text; an empty cell is null."""
    return pl.read_csv(io.BytesIO(data), infer_schema=False)


def _own_csv(data: bytes, name: str) -> pl.DataFrame:
    """A CSV of the competition itself: where it is broken, nothing can be graded."""
    try:
        return _read_csv(data)
    except pl.exceptions.PolarsError as error:
        raise HostError(
            f"{name} is not a CSV: {_first_line(error)}", hint="see `competition.local`"
        ) from error


def _problem(table: pl.DataFrame, id_column: str, guesses: Sequence[str], valid_ids: pl.Series) -> str:
    """What Kaggle would say is wrong with a submission, or nothing."""
    for column in (id_column, *guesses):
        if column not in table.columns:
            return f"Submission must have a column '{column}', found {', '.join(table.columns)}"
    if len(table) != len(valid_ids):
        return f"Submission must have {len(valid_ids):,} rows, found {len(table):,}"
    for column in (id_column, *guesses):
        nulls = table[column].null_count()
        if nulls:
            return f"Submission contains {nulls:,} null values in column '{column}'"
    ids = table[id_column]
    if twice := ids.filter(ids.is_duplicated()).to_list():
        return f"Submission contains duplicate ids, first '{twice[0]}'"
    if unknown := ids.filter(~ids.is_in(valid_ids.implode())).to_list():
        return f"Submission contains {len(unknown):,} unknown ids, first '{unknown[0]}'"
    return ""


def _share(right: pl.DataFrame, usage: str) -> float | None:
    """Accuracy over the rows of one usage, to the five places that Kaggle shows."""
    rows = right.filter(pl.col("usage") == usage)["right"]
    return round(int(rows.sum()) / len(rows), 5) if len(rows) else None


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
