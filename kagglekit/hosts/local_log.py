"""The log of submissions to a local host: submissions.jsonl, one line a submission."""

import json
import os
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from kagglekit.errors import HostError


@dataclass(frozen=True)
class Record:
    """A line of the log. The grade is computed at once, and shown when the grading time is over."""

    ref: str
    date: str
    file_name: str
    message: str
    public: float | None
    private: float | None
    error: str

    @property
    def time(self) -> datetime:
        """Time of the upload, UTC."""
        return datetime.fromisoformat(self.date)


def read(path: Path) -> list[Record]:
    """Read every complete line. A last line that a kill cut off is not a submission.

    Raises:
        HostError: a line is damaged.
    """
    if not path.is_file():
        return []
    complete, _, _cut_off = path.read_text(encoding="utf-8").rpartition("\n")
    try:
        return [Record(**json.loads(line)) for line in complete.splitlines()]
    except (ValueError, TypeError) as error:
        raise HostError(f"{path} is damaged: {error}", hint="repair or remove the line") from error


def append(path: Path, record: Record) -> None:
    """Append a line, in place of one that a kill cut off."""
    line = json.dumps(asdict(record)) + "\n"
    with path.open("a+b") as log:
        log.seek(0)
        log.truncate(log.read().rfind(b"\n") + 1)
        log.write(line.encode())
        log.flush()
        os.fsync(log.fileno())
