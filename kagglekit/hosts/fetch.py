"""Download the host's files to raw/, each one whole and tested or not at all."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from kagglekit.errors import ArchiveError, plural
from kagglekit.files import archive
from kagglekit.files.atomic import move_into_place
from kagglekit.files.locks import locked
from kagglekit.files.patterns import is_archive
from kagglekit.files.raw import fingerprint, last_fingerprint, save_fingerprint, sha256
from kagglekit.files.workspace import Workspace
from kagglekit.hosts.base import Arrived, Host, HostFile, check_space, target_path
from kagglekit.hosts.plan import Wanted, plan
from kagglekit.parallel.waiting import wait_for
from kagglekit.terminal import console, progress

T = TypeVar("T")

THREADS = 3
"""Files at a time. With more connections Kaggle only refuses more requests."""
INCOMING = ".incoming"
"""Folder of files that have not been tested yet, so that a damaged one does not replace a good one."""


@dataclass(frozen=True)
class Fetched:
    """One file in raw/."""

    name: str
    size: int
    new: bool
    """False where it was there already."""


def fetch(
    workspace: Workspace,
    host: Host | Callable[[], Host],
    names: Sequence[str] = (),
    *,
    force: bool = False,
    reread: bool = True,
) -> list[Fetched]:
    """Download what is missing or damaged, several files at once; `hosts.plan` says what is wanted.

    Args:
        workspace: contains raw/; its config names the files.
        host: where they come from; or what opens it, called only if something is to be downloaded.
        names: download these files instead.
        reread: check every byte of the files that are there; otherwise a file with the size and time of
            its last check is accepted.

    Raises:
        HostError: the host refused or could not be reached, or the disk is too small.
        ArchiveError: an archive arrived damaged twice; it is deleted.
    """
    wanted = plan(workspace, host if callable(host) else lambda: host, names)
    with locked(workspace.raw, "this download"):
        workspace.mark()
        workspace.raw.mkdir(parents=True, exist_ok=True)
        missing = [w.file for w in wanted if not (workspace.raw / w.file.name).is_file()]
        check_space(workspace.raw, sum(file.size or 0 for file in missing), plural(len(missing), "file"))
        return _at_once([partial(_fetch_one, one, workspace.raw, force, reread) for one in wanted])


def _at_once(jobs: Sequence[Callable[[], T]]) -> list[T]:
    """Run all jobs, THREADS at a time, and return their results; raise the first error when all have ended.

    The threads are daemons, unlike those of a pool, so that Ctrl-C does not wait for a stalled server.
    """
    results: list[Future[T]] = [Future() for _ in jobs]
    waiting = deque(zip(results, jobs, strict=True))

    def work() -> None:
        with suppress(IndexError):
            while True:
                result, job = waiting.popleft()
                try:
                    result.set_result(job())
                except Exception as error:
                    result.set_exception(error)

    for _ in range(min(THREADS, len(jobs))):
        threading.Thread(target=work, daemon=True).start()
    try:
        wait_for(results)  # all of them: a thread that goes on would be in the way of the next fetch
    except KeyboardInterrupt:
        console.err().show_cursor()  # the threads' bars have hidden it
        raise
    return [result.result() for result in results]


def _fetch_one(wanted: Wanted, folder: Path, force: bool, reread: bool) -> Fetched:
    file = wanted.file
    path = target_path(folder, file.name)
    if new := force or not _is_good(path, file, reread):
        arrived, digest = _download(wanted, folder / INCOMING, force)
        move_into_place(arrived, path)
        save_fingerprint(path, path.stat(), digest, proven=True)
    return Fetched(file.name, path.stat().st_size, new)


def _download(wanted: Wanted, folder: Path, force: bool) -> tuple[Path, str]:
    """Download a file to `folder`, test it, and return it with its sha256. Try a damaged one twice."""
    file = wanted.file
    arrived = Arrived(target_path(folder, file.name), proven=False)
    there = _has_size(arrived.path, file) and not force  # a kill interrupted its test
    last = False
    while True:
        if not there:
            with progress.bar(f"fetch {file.name}", file.size, "B") as advance:
                arrived = wanted.download(folder, advance)
        try:
            checks: list[Callable[[], object]] = [partial(sha256, arrived.path)]
            checks.append(partial(_list if arrived.proven else _test, arrived.path))
            return arrived.path, str(_at_once(checks)[0])
        except ArchiveError as error:
            arrived.path.unlink()  # so that the next run does not resume it
            if last or not isinstance(error, archive.DamagedError):
                raise
            console.note(f"{error}: fetching it again")
            last, there = not there, False


def _is_good(path: Path, file: HostFile, reread: bool) -> bool:
    """Tell whether a file is unchanged since it was fetched or, where no fingerprint is kept, undamaged."""
    if not _has_size(path, file):
        return False
    stat = path.stat()  # before reading: a write in the meantime changes the time
    digest, proven = sha256(path) if reread else fingerprint(path), last_fingerprint(path).proven
    if proven is None:
        try:
            _test(path)
        except archive.DamagedError as error:
            console.note(f"{error}: fetching it again")
            return False
    elif proven != digest:
        console.note(f"{path.name} has changed since it was fetched: fetching it again")
        return False
    save_fingerprint(path, stat, digest, proven=True)
    return True


def _has_size(path: Path, file: HostFile) -> bool:
    return path.is_file() and file.size in (None, path.stat().st_size)


def _list(path: Path) -> None:
    """Check that an archive can be read. The CRCs of its members are checked when they are read."""
    if is_archive(path.name):
        archive.members(path)


def _test(path: Path) -> None:
    """Check every CRC of an archive. For other files, only the host knows whether they are whole."""
    if is_archive(path.name):
        archive.verify(path)
