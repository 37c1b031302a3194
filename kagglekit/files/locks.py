"""Locks between processes."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

from kagglekit.files.faults import explained
from kagglekit.terminal import console

NO_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK)


@contextmanager
def locked(path: Path, what: str) -> Iterator[None]:
    """Hold the lock file `path`.lock, and wait while another process holds it. A kill releases it.

    Raises:
        MachineError: its folder must not be written to.
    """
    with explained(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = lock_file(path.with_name(f"{path.name}.lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            console.note(f"another kagglekit is working on {what}; waiting for it")
            lock.acquire()
    try:
        yield
    finally:
        lock.release()


def lock_file(path: Path) -> BaseFileLock:
    """Return the lock of a file in a folder that exists.

    The kernel releases it when its process dies. On a file system without flock, the file names its process,
    and those of dead processes are broken.
    """
    return FileLock(path) if _has_flock(path.parent) else SoftFileLock(path)


@cache
def _has_flock(folder: Path) -> bool:
    """Tell whether the file system of a folder has flock, and note it where it has not."""
    try:
        import fcntl
    except ImportError:  # Windows locks otherwise
        return True
    with TemporaryFile(dir=folder) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            _note_once()
            return False
    return True


@cache
def _note_once() -> None:
    console.note("this file system has no file locks (flock): files that name their process are used instead")
