"""`competition:`, its host, and `network:`, time-outs and retries."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from kagglekit.config.base import Count, FilePath, OneOf, Positive, Section
from kagglekit.config.metric import MetricName, checked_parameters
from kagglekit.config.names import HOSTS

PYTHONS = ("3.11", "3.12")
"""Versions of Python in Kaggle's images of 2025 and 2026."""


class LocalSettings(Section):
    """A folder that stands in for Kaggle: the competition's files and a solution, graded on this machine."""

    files: FilePath
    """Folder with the competition's files."""
    solution: FilePath
    """CSV with the columns id and label and, optionally, Usage (Public or Private)."""
    hidden: FilePath | None = None
    """Folder with the files that a submitted notebook sees in place of `files`, hidden test included."""
    daily_limit: Count = 10
    """Maximum number of submissions a day (UTC)."""
    grading_seconds: Annotated[float, Field(ge=0)] = 1.0
    """Seconds that a submission stays PENDING before it is COMPLETE."""
    deadline: datetime | None = None
    """Time after which submissions are refused, in UTC unless it has a time zone."""


class NotebookLimits(Section):
    """Limits of a notebook competition, which a rehearsal and a push keep to."""

    minutes: Positive = 540.0
    """Minutes that the notebook may run."""
    recordings: Count | None = None
    """Number of recordings in the hidden test; null: as many as the visible test has."""
    seconds: Positive | None = Field(default=None, exclude_if=lambda seconds: seconds is None)
    """Length of a recording of the hidden test in seconds; null: the commonest of the visible test, or
    else 60."""
    cores: Count = 4
    """CPU cores of the notebook."""
    slowdown: Positive = Field(default=1.0, exclude_if=lambda slowdown: slowdown == 1)
    """How many times as long as one of this machine's cores one of the notebook's takes for the same work."""
    memory_gb: Positive = 30.0
    """Memory in GB."""
    internet: bool = False
    """Whether the notebook may use the internet."""
    python: tuple[Annotated[str, Field(pattern=r"^3\.[0-9]{1,2}$")], ...] = Field(
        default=PYTHONS, min_length=1, exclude_if=lambda versions: versions == PYTHONS
    )
    """Versions of Python for which wheels travel along: those that the host's image may have."""


class Competition(Section):
    """The competition and its host."""

    slug: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    """Last part of the competition's address."""
    host: Annotated[str, OneOf(HOSTS, "host")] = "kaggle"
    """Where files come from and submissions go: kaggle, or local for a folder graded on this machine."""
    local: LocalSettings | None = None
    """Settings of the local host; required when host is local."""
    metric: Annotated[str, MetricName()] = "accuracy"
    """The host's metric: a name, or a mapping with its parameters, such as `{name: map_at_k, k: 3}`."""
    metric_parameters: dict[str, Any] = Field(default_factory=dict)
    """Parameters of the metric; `metric` may give them with its name."""
    delivery: Literal["csv", "notebook"] = "csv"
    """What the host takes: a CSV, or a notebook that predicts a hidden test."""
    limits: NotebookLimits = NotebookLimits()
    """Limits of the notebook."""

    @model_validator(mode="before")
    @classmethod
    def _metric_with_parameters(cls, section: Any) -> Any:
        """Split `metric: {name: map_at_k, k: 3}` into the name and the parameters."""
        chosen = section.get("metric") if isinstance(section, Mapping) else None
        if not isinstance(chosen, Mapping):
            return section
        if "name" not in chosen:
            raise ValueError("metric requires a name, such as {name: map_at_k, k: 3}")
        parameters = {name: value for name, value in chosen.items() if name != "name"}
        given = section.get("metric_parameters") or {}
        if both := parameters.keys() & given:
            raise ValueError(f"metric.{sorted(both)[0]} is given twice, in metric and in metric_parameters")
        return {**section, "metric": chosen["name"], "metric_parameters": {**given, **parameters}}

    @model_validator(mode="after")
    def _metric_takes_its_parameters(self) -> Competition:
        checked_parameters(self.metric, self.metric_parameters)
        return self

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
