"""The host's files -> raw/, each whole and tested or not at all."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from kagglekit.errors import ArchiveError
from kagglekit.files import archive
from kagglekit.files.atomic import move_into_place
from kagglekit.files.locks import locked
from kagglekit.files.raw import fingerprint, note, noted, sha256, wanted_files
from kagglekit.files.workspace import Workspace
from kagglekit.hosts.base import Arrived, Host, HostFile, check_space, pick_file, target_path
from kagglekit.terminal import console, progress

T = TypeVar("T")

THREADS = 3
"""Files at a time. More connections than that bring nothing but refusals."""
INCOMING = ".incoming"
"""Where a file is until it is known to be whole, so that a bad one does not replace a good one."""


@dataclass(frozen=True)
class Fetched:
    """One file in raw/."""

    name: str
    size: int
    new: bool
    """False: it was there already."""


def fetch(
    workspace: Workspace,
    host: Host,
    names: Sequence[str] = (),
    *,
    force: bool = False,
    reread: bool = True,
) -> list[Fetched]:
    """Download what is not there yet, or is there but damaged; several files at once.

    Args:
        config: names the files wanted where `names` is empty.
        workspace: where raw/ is.
        host: where they come from. A host that offers only `<slug>.zip` (Kaggle's "download all") gives that.
        names: files to fetch instead.
        force: fetch again what is there.
        reread: look at every byte of what is there; if not, a file whose size and time are those of when it
            was found good is taken for good.

    Raises:
        HostError: the host refused or could not be reached, or the disk is too small.
        ArchiveError: what came is no good archive, twice; it is removed.
    """
    offered = host.files()
    wanted = list(dict.fromkeys(names)) or wanted_files(workspace.config)
    bundle = f"{workspace.config.competition.slug}.zip"
    if not names and not {f.name for f in offered} & set(wanted) and bundle in {f.name for f in offered}:
        wanted = [bundle]
    files = [pick_file(offered, name) for name in wanted]
    with locked(workspace.raw, "this download"):
        workspace.raw.mkdir(parents=True, exist_ok=True)
        missing = [file for file in files if not (workspace.raw / file.name).is_file()]
        check_space(workspace.raw, sum(file.size or 0 for file in missing), f"{len(missing)} files")
        return _at_once([partial(_fetch_one, host, file, workspace.raw, force, reread) for file in files])


def _at_once(jobs: Sequence[Callable[[], T]]) -> list[T]:
    """Do all jobs, some at a time; the first error is raised when all have ended.

    In daemon threads, which a pool's are not: Ctrl-C shall not wait for a server that stalls.
    """
    results: list[Future[T]] = [Future() for _ in jobs]
    waiting = deque(zip(results, jobs, strict=True))

    def work() -> None:
        with suppress(IndexError):
            while True:
                result, job = waiting.popleft()
                _settle(result, job)

    for _ in range(min(THREADS, len(jobs))):
        threading.Thread(target=work, daemon=True).start()
    try:
        wait(results)
    except KeyboardInterrupt:
        console.err().show_cursor()  # which the threads' bars had hidden
        raise
    return [result.result() for result in results]


def _settle(result: Future[T], job: Callable[[], T]) -> None:
    try:
        result.set_result(job())
    except Exception as error:
        result.set_exception(error)


def _fetch_one(host: Host, file: HostFile, folder: Path, force: bool, reread: bool) -> Fetched:
    path = target_path(folder, file.name)
    if force or not _is_good(path, file, reread):
        arrived, digest = _download(host, file, folder / INCOMING, force)
        move_into_place(arrived, path)
        note(path, path.stat(), digest, proven=True)
        return Fetched(file.name, path.stat().st_size, new=True)
    return Fetched(file.name, path.stat().st_size, new=False)


def _download(host: Host, file: HostFile, folder: Path, force: bool) -> tuple[Path, str]:
    """The file in `folder`, tested, and its sha256. Damaged once may be an accident, and it comes again."""
    arrived = Arrived(target_path(folder, file.name), proven=False)
    there = _has_size(arrived.path, file) and not force  # a kill came while it was tested
    last = False
    while True:
        if not there:
            with progress.bar(f"fetch {file.name}", file.size, "B") as advance:
                arrived = host.download(file.name, folder, advance)
        try:
            passes: list[Callable[[], object]] = [partial(sha256, arrived.path)]
            passes.append(partial(_list if arrived.proven else _test, arrived.path))
            return arrived.path, str(_at_once(passes)[0])
        except ArchiveError as error:
            arrived.path.unlink()  # so that the next fetch does not take it for whole
            if last or not isinstance(error, archive.DamagedError):
                raise
            console.note(f"{error}: fetching it again")
            last, there = not there, False


def _is_good(path: Path, file: HostFile, reread: bool) -> bool:
    """Whether a file that is there is the one that was fetched or, if nobody knows, a sound one."""
    if not _has_size(path, file):
        return False
    stat = path.stat()  # before it is read: what is written meanwhile has another time
    digest, proven = sha256(path) if reread else fingerprint(path), noted(path).proven
    if proven is None:
        try:
            _test(path)
        except archive.DamagedError as error:
            console.note(f"{error}: fetching it again")
            return False
    elif proven != digest:
        console.note(f"{path.name} is not as it was fetched: fetching it again")
        return False
    note(path, stat, digest, proven=True)
    return True


def _has_size(path: Path, file: HostFile) -> bool:
    return path.is_file() and file.size in (None, path.stat().st_size)


def _list(path: Path) -> None:
    """See that an archive is one. Its members' CRCs are looked at when they are read."""
    if path.suffix.lower() in archive.ARCHIVE_SUFFIXES:
        archive.members(path)


def _test(path: Path) -> None:
    """Every CRC of an archive. Of other files only the host can know whether they are whole."""
    if path.suffix.lower() in archive.ARCHIVE_SUFFIXES:
        archive.verify(path)
