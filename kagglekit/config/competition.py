"""Which competition, where it lives, and how patient kagglekit is with the host."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from kagglekit.config.base import Count, FilePath, Positive, Section
from kagglekit.config.names import HOSTS
from kagglekit.errors import close_match


class LocalSettings(Section):
    """A folder that stands in for Kaggle: same files, a solution, graded here."""

    files: FilePath
    """Folder with the competition's files."""
    solution: FilePath
    """CSV of id, label and, optionally, Usage (Public or Private)."""
    daily_limit: Count = 10
    """Submissions a day (UTC)."""
    grading_seconds: Annotated[float, Field(ge=0)] = 1.0
    """Seconds between PENDING and COMPLETE."""
    deadline: datetime | None = None
    """No submission counts after it (UTC if it names no zone)."""


def _known_host(name: str) -> str:
    if name not in HOSTS:
        raise ValueError(f"no host '{name}'; {close_match(name, HOSTS)}")
    return name


class Competition(Section):
    """Which competition, and where it lives."""

    slug: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    """The last part of the competition's address."""
    host: Annotated[str, AfterValidator(_known_host)] = "kaggle"
    """Where files come from and submissions go: a name in `kagglekit.config.names.HOSTS`."""
    local: LocalSettings | None = None
    """Needed when host is local."""
    metric: Literal["accuracy", "lwlrap", "map"] = "accuracy"
    """What the host scores: answers, or the ranks of probabilities where a clip may have several labels."""

    @model_validator(mode="after")
    def _local_is_described(self) -> Competition:
        if self.host == "local" and self.local is None:
            raise ValueError("host is local, but there is no 'local' section with files and solution")
        return self


class Network(Section):
    """How patient kagglekit is with the host."""

    timeout_s: Positive = 30.0
    """Seconds without a byte after which a request has failed."""
    tries: Count = 6
    """Tries of one request, and of one download without progress."""
    pause_s: Annotated[float, Field(ge=0)] = 1.0
    """Seconds before the second try; doubled before each further one, with jitter."""
