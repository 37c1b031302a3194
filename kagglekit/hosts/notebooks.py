"""The interface of a host that runs notebooks: data sets, kernels, their sessions, and code submissions.

A kernel is Kaggle's name for a saved notebook or script. Each time that it is saved, a version is made and
run, which is called its session. What a host may have done although its reply was lost is found again by a
mark: the note of a data set's version, and a line in a kernel's source.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from kagglekit.errors import HostError
from kagglekit.hosts.base import Host

SessionStatus = Literal["QUEUED", "RUNNING", "COMPLETE", "ERROR", "CANCELLED"]


@dataclass(frozen=True)
class DatasetVersion:
    """A version of a data set: what was noted with it, and whether notebooks can use it."""

    number: int
    note: str
    state: Literal["pending", "ready", "failed"]


@dataclass(frozen=True)
class HostDataset:
    """A data set of the user's own."""

    current: int
    """Number of the version that a notebook sees that is saved now."""
    versions: tuple[DatasetVersion, ...]

    def noted(self, mark: str) -> DatasetVersion | None:
        """Return the newest version whose note has a mark."""
        marked = [version for version in self.versions if mark in version.note]
        return max(marked, key=lambda version: version.number, default=None)


@dataclass(frozen=True, kw_only=True)
class DatasetSpec:
    """A data set to be made: `files` are tokens of uploads."""

    slug: str
    title: str
    files: tuple[str, ...]
    note: str
    """Is found again in the version's note."""
    license: str = "other"


@dataclass(frozen=True, kw_only=True)
class KernelSpec:
    """A kernel to be saved and run. The internet is off unless it is said to be on."""

    slug: str
    title: str
    source: str
    kernel_type: Literal["script", "notebook"] = "script"
    private: bool = True
    internet: bool = False
    accelerator: str | None = None
    """Such as NvidiaTeslaT4; None: the processor alone."""
    datasets: tuple[str, ...] = ()
    """As OWNER/NAME."""
    competitions: tuple[str, ...] = ()
    kernels: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    timeout_s: int | None = None


@dataclass(frozen=True)
class SavedKernel:
    """A kernel's current version as the host has it."""

    slug: str
    """The host's own, which need not be the one that was asked for."""
    version: int
    source: str
    """Empty where the host does not show it."""
    left_out: tuple[str, ...] = ()
    """Sources that the host does not know, and has saved it without."""


@dataclass(frozen=True)
class Session:
    """The run of a kernel's version."""

    status: SessionStatus
    message: str = ""
    """The host's words about a failure."""

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.status in ("COMPLETE", "ERROR", "CANCELLED")


@dataclass(frozen=True)
class Quota:
    """Hours of an accelerator in the current week."""

    used_hours: float
    allowed_hours: float
    refresh: datetime | None
    """When the next week begins."""

    @property
    def left_hours(self) -> float:
        """Hours that are left, never below 0."""
        return max(0.0, self.allowed_hours - self.used_hours)


class NotebookService(Protocol):
    """What a host offers for notebooks. Every method raises HostError, with a hint, where the host refuses.

    `save_dataset`, `save_kernel` and `submit` are sent once. Where one of the causes of their error is an
    OSError, the host may have done it all the same.
    """

    @property
    def account(self) -> str:
        """The owner of data sets and kernels."""

    def gpu_quota(self) -> Quota | None:
        """Return the week's hours of GPUs; None where the host counts none."""

    def dataset(self, slug: str) -> HostDataset | None:
        """Return a data set of the account; None where there is none of that name."""

    def dataset_files(self, slug: str, version: int) -> dict[str, int | None]:
        """Return the names and sizes in bytes of a version's files."""

    def upload(self, path: Path) -> str:
        """Upload a file, and return its token for `save_dataset`. May be repeated."""

    def save_dataset(self, spec: DatasetSpec, *, new: bool) -> None:
        """Make a data set, private, or another version of it."""

    def kernel(self, slug: str) -> SavedKernel | None:
        """Return a kernel of the account; None where there is none of that name."""

    def save_kernel(self, spec: KernelSpec) -> SavedKernel:
        """Save a kernel, which runs it."""

    def session(self, slug: str, version: int) -> Session:
        """Return how the run of a version goes."""

    def log(self, slug: str, version: int) -> str:
        """Return the log of a version's run as the host gives it: a JSON array, or text."""

    def output_names(self, slug: str, version: int) -> list[str]:
        """List the files that a version's run has written."""

    def fetch_output(
        self, slug: str, version: int, name: str, folder: Path, advance: Callable[[int], None]
    ) -> Path:
        """Download one of these files into `folder`."""

    def submit(self, slug: str, version: int, file_name: str, message: str) -> str:
        """Submit a kernel's version, which the host runs again on the hidden test; return its reference."""


@runtime_checkable
class NotebookHost(Protocol):
    """A host that runs notebooks."""

    @property
    def notebooks(self) -> NotebookService:
        """What it offers for them."""


def notebooks_of(host: Host) -> NotebookService:
    """Return what a host offers for notebooks.

    Raises:
        HostError: it runs none.
    """
    if not isinstance(host, NotebookHost):
        raise HostError(
            f"{type(host).__name__} runs no notebooks",
            hint="set competition.delivery to csv; kaggle and local are hosts that run notebooks",
        )
    return host.notebooks


def quota_note(quota: Quota | None) -> list[str]:
    """Return the line that shows a quota."""
    if quota is None:
        return []
    until = "" if quota.refresh is None else f" until {quota.refresh:%Y-%m-%d %H:%M} UTC"
    return [f"GPU quota: {quota.used_hours:.1f} of {quota.allowed_hours:.1f} hours used{until}"]
