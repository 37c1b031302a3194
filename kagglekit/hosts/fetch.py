"""Download the host's files to raw/, each one whole and tested or not at all."""

import os
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
from kagglekit.files.archive.parts import part_names
from kagglekit.files.atomic import move_into_place
from kagglekit.files.locks import locked
from kagglekit.files.patterns import is_archive
from kagglekit.files.raw import Fingerprint, fingerprint, last_fingerprint, save_fingerprint, sha256
from kagglekit.files.workspace import Workspace
from kagglekit.hosts.base import Arrived, Host, check_space, target_path
from kagglekit.hosts.plan import Wanted, plan
from kagglekit.parallel.waiting import wait_for
from kagglekit.terminal import console, progress

T = TypeVar("T")

THREADS = 3
"""Files at a time. With more connections Kaggle only refuses more requests."""


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
        missing = [w.file for w in wanted if not (w.folder / w.file.name).is_file()]
        check_space(workspace.raw, sum(file.size or 0 for file in missing), plural(len(missing), "file"))
        there = {one.file.name for one in wanted}
        pieces = {one: part_names(one.file.name, there) for one in wanted}
        pieces = {one: names for one, names in pieces.items() if len(names) > 1}
        parts = {name for names in pieces.values() for name in names}
        jobs = [_Fetch(one, workspace, force, reread, one.file.name in parts) for one in wanted]
        fetched = _at_once(jobs)
        new = {file.name for file in fetched if file.new}
        for one, names in pieces.items():  # a part cannot be tested alone
            if not new.isdisjoint(names):
                _verify_parts(one.folder / one.file.name, names)
        return fetched


def _verify_parts(path: Path, names: Sequence[str]) -> None:
    """Test an archive in several parts; the next run fetches those of a damaged one again."""
    try:
        archive.verify(path)
    except archive.DamagedError:
        for name in names:
            path.with_name(name.rpartition("/")[2]).unlink(missing_ok=True)
        raise


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


@dataclass(frozen=True)
class _Fetch:
    """The download of one file, in the fetch of several."""

    wanted: Wanted
    workspace: Workspace
    force: bool
    reread: bool
    is_part: bool
    """Part of an archive in several files, which is tested when all are there."""

    def __call__(self) -> Fetched:
        """Download the file where it is missing, changed or damaged."""
        file = self.wanted.file
        path = target_path(self.wanted.folder, file.name)
        if new := self.force or not self._is_good(path):
            arrived, digest = self._download()
            move_into_place(arrived, path)
            self._save(path, path.stat(), digest)
        return Fetched(file.name, path.stat().st_size, new)

    def _download(self) -> tuple[Path, str]:
        """Download to incoming/, so that a damaged file does not replace a good one, test it, and return it
        with its sha256. A damaged one is tried twice.
        """
        file = self.wanted.file
        folder = self.workspace.incoming / self.wanted.folder.name
        arrived = Arrived(target_path(folder, file.name), proven=False)
        there = arrived.path.is_file() and file.size in (None, arrived.path.stat().st_size)
        there, last = there and not self.force, False  # a kill interrupted the test of what is there
        while True:
            if not there:
                with progress.bar(f"fetch {file.name}", file.size, "B") as advance:
                    arrived = self.wanted.download(folder, advance)
            try:
                checks: list[Callable[[], object]] = [partial(sha256, arrived.path)]
                if not self.is_part:
                    checks.append(partial(_list if arrived.proven else _test, arrived.path))
                return arrived.path, str(_at_once(checks)[0])
            except archive.UnsupportedError:  # it is whole, and must not be downloaded again
                move_into_place(arrived.path, target_path(self.wanted.folder, file.name))
                raise
            except ArchiveError as error:
                arrived.path.unlink()  # so that the next run does not resume it
                if last or not isinstance(error, archive.DamagedError):
                    raise
                console.note(f"{error}: fetching it again")
                last, there = not there, False

    def _is_good(self, path: Path) -> bool:
        """Tell whether a file is unchanged since it was fetched or, without a fingerprint, undamaged."""
        notes = self.workspace.fingerprints
        if not path.is_file():
            return False
        stat = path.stat()  # before reading: a write in the meantime changes the time
        last, size = last_fingerprint(path, notes), self.wanted.file.size
        if size not in (None, stat.st_size) and (size, stat.st_size) != (last.listed, last.size):
            return False
        if None not in (last.created, self._created) and last.created != self._created:
            console.note(f"the host has another {path.name} of the same size: fetching it again")
            return False
        digest = sha256(path) if self.reread else fingerprint(path, notes)
        if last.proven is None and not self.is_part:
            try:
                _test(path)
            except archive.DamagedError as error:
                console.note(f"{error}: fetching it again")
                return False
        elif last.proven not in (None, digest):
            console.note(f"{path.name} has changed since it was fetched: fetching it again")
            return False
        self._save(path, stat, digest)
        return True

    @property
    def _created(self) -> str | None:
        """When a file in a local folder was changed; Kaggle's times are not known to stay the same."""
        created, is_local = self.wanted.file.created, self.workspace.config.competition.host == "local"
        return created.isoformat() if created is not None and is_local else None

    def _save(self, path: Path, stat: os.stat_result, digest: str) -> None:
        file = self.wanted.file
        entry = Fingerprint(stat.st_size, stat.st_mtime_ns, digest, digest, file.size, self._created)
        save_fingerprint(path, self.workspace.fingerprints, entry)


def _list(path: Path) -> None:
    """Check that an archive can be read. The CRCs of its members are checked when they are read."""
    if is_archive(path.name):
        archive.members(path)


def _test(path: Path) -> None:
    """Check every CRC of an archive. For other files, only the host knows whether they are whole."""
    if is_archive(path.name):
        archive.verify(path)
