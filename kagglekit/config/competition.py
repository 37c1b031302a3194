"""`competition:`, its host, and `network:`, time-outs and retries."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, model_validator

from kagglekit.config.base import Count, FilePath, OneOf, Positive, Section
from kagglekit.config.names import HOSTS


class LocalSettings(Section):
    """A folder that stands in for Kaggle: the competition's files and a solution, graded on this machine."""

    files: FilePath
    """Folder with the competition's files."""
    solution: FilePath
    """CSV with the columns id and label and, optionally, Usage (Public or Private)."""
    daily_limit: Count = 10
    """Maximum number of submissions a day (UTC)."""
    grading_seconds: Annotated[float, Field(ge=0)] = 1.0
    """Seconds that a submission stays PENDING before it is COMPLETE."""
    deadline: datetime | None = None
    """Time after which submissions are refused, in UTC unless it has a time zone."""


class Competition(Section):
    """The competition and its host."""

    slug: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    """Last part of the competition's address."""
    host: Annotated[str, OneOf(HOSTS, "host")] = "kaggle"
    """Where files come from and submissions go: kaggle, or local for a folder graded on this machine."""
    local: LocalSettings | None = None
    """Settings of the local host; required when host is local."""
    metric: Literal["accuracy", "lwlrap", "map"] = "accuracy"
    """The host's metric: accuracy for one label per clip; lwlrap or map for several labels per clip."""

    @model_validator(mode="after")
    def _local_is_described(self) -> Competition:
        if self.host == "local" and self.local is None:
            raise ValueError("host local requires a 'local' section with files and solution")
        return self


class Network(Section):
    """Time-outs and retries of requests to the host."""

    timeout_s: Positive = 30.0
    """Seconds without a byte after which a request fails."""
    tries: Count = 6
    """Attempts per request, and per download that makes no progress."""
    pause_s: Annotated[float, Field(ge=0)] = 1.0
    """Seconds before the second attempt, doubled before each further one, with jitter."""
