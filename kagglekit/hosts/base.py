"""The interface of a host, its data types, and the checks that all hosts share."""

import difflib
import shutil
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Literal, Protocol

from kagglekit.errors import HostError, listed

Status = Literal["PENDING", "COMPLETE", "ERROR"]

FEW = 20  # names that a message may show
MOST_COMPARED = 5_000  # names among which a close match is looked for
SPARE_BYTES = 64 * 1024**2  # stay free beside a download, so that the machine remains usable


@dataclass(frozen=True)
class HostFile:
    """One of the competition's files. Its size is in bytes, or None where the host does not give it."""

    name: str
    size: int | None
    created: datetime | None


@dataclass(frozen=True)
class Arrived:
    """A downloaded file."""

    path: Path
    proven: bool
    """A checksum of the host covers all of its bytes and matches."""


@dataclass(frozen=True)
class Details:
    """The competition as its host describes it. Times have a time zone."""

    slug: str
    title: str
    metric: str
    deadline: datetime | None
    daily_limit: int | None
    files_url: str | None = None
    rules_url: str | None = None
    entered: bool | None = None
    """The rules have been accepted."""
    closed: bool = False
    """The host takes no submission at all, whatever the deadline says."""
    notebooks_only: bool = False
    """Submissions are notebooks that run on the host; it accepts no CSV."""
    teams: int | None = None
    rank: int | None = None
    """The team's rank on the public leaderboard."""


@dataclass(frozen=True)
class Limits:
    """How many submissions were made today (UTC), are still allowed today, and are allowed a day."""

    today: int
    allowed_now: int | None
    daily: int | None


@dataclass(frozen=True)
class SubmissionState:
    """The state of one submission on the host. Scores are None until the host shows them."""

    ref: str
    date: datetime
    file_name: str
    status: Status
    public: float | None
    private: float | None
    error: str
    message: str


@dataclass(frozen=True)
class LeaderboardRow:
    """A team's best public score; rank 1 is the best."""

    rank: int
    team: str
    score: float | None


class Host(Protocol):
    """A competition's host. Every method raises HostError, with a hint, where the host refuses."""

    def details(self) -> Details: ...

    def evaluation(self) -> str:
        """Return the page about evaluation, HTML or Markdown; "" where there is none."""

    def files(self, most: int | None = None) -> list[HostFile]:
        """List the files; only the first `most`, or a few more, where a list of thousands comes in pages."""

    def bundle(self) -> HostFile | None:
        """Return the file of all files, <slug>.zip, which `download` takes although it is not listed.

        None where there is none, because loose files are read where they lie (`kagglekit.files.places`).
        """

    def download(self, name: str, folder: Path, advance: Callable[[int], None]) -> Arrived:
        """Download one file into `folder`, whole or not at all; call `advance` with the new bytes' number."""

    def submit(self, path: Path, message: str) -> str:
        """Upload a CSV and return its reference, which `submission` takes."""

    def submission(self, ref: str) -> SubmissionState: ...

    def submissions(self) -> list[SubmissionState]:
        """Return the team's submissions, newest first."""

    def selected(self) -> set[str] | None:
        """Return the references of the final submissions, or None where the host does not give them."""

    def limits(self) -> Limits: ...

    def leaderboard(self) -> list[LeaderboardRow]: ...


def pick_file(files: Iterable[HostFile], name: str) -> HostFile:
    """Return the file called `name`.

    Raises:
        HostError: there is none; the hint has the closest name.
    """
    name2file = {file.name: file for file in files}
    if name not in name2file:
        near = difflib.get_close_matches(name, islice(name2file, MOST_COMPARED), n=1)
        hint = f"did you mean '{near[0]}'?" if near else describe(name2file.values())
        raise HostError(f"the competition has no file '{name}'", hint=hint)
    return name2file[name]


def describe(files: Collection[HostFile]) -> str:
    """Name a few of the host's files, never thousands of them."""
    if not files:
        return "the host lists no files"
    if len(files) <= FEW:
        return f"known: {listed(sorted(file.name for file in files))}"
    examples = ", ".join(file.name for file in islice(files, 3))
    return f"it has {len(files):,} files, such as {examples}; kagglekit fetch --list shows all"


def target_path(folder: Path, name: str) -> Path:
    """Return the path in `folder` of a file of the host.

    Raises:
        HostError: the name leads out of the folder, or over a symbolic link in it; or no file can have it.
    """
    parts = PurePosixPath(name).parts
    unsafe = not parts or name.startswith("/") or ".." in parts or any(c in name for c in "\\:\0")
    if unsafe or any("\ud800" <= c <= "\udfff" for c in name):  # half of a surrogate pair
        raise HostError(f"the host offers a file with an unsafe name: {name!r}", hint="nothing was written")
    for i in range(1, len(parts)):
        if folder.joinpath(*parts[:i]).is_symlink():
            raise HostError(
                f"{folder.joinpath(*parts[:i])} is a symbolic link: nothing is written through it",
                hint="remove the link, then run the same command again",
            )
    return folder.joinpath(*parts)


def check_space(folder: Path, needed: int, name: str) -> None:
    """Check that `needed` more bytes fit on the disk of `folder`, which need not exist yet.

    Raises:
        HostError: they do not.
    """
    there = next(place for place in (folder, *folder.absolute().parents) if place.is_dir())
    free = shutil.disk_usage(there).free
    if needed + SPARE_BYTES > free:
        raise HostError(
            f"not enough disk space for {name}: {needed / 1e6:,.0f} MB to download, "
            f"{free / 1e6:,.0f} MB free in {folder}, of which {SPARE_BYTES / 1e6:.0f} MB must stay free",
            hint="free some space, or set `workspace:` in competition.yaml to a folder on another disk",
        )
