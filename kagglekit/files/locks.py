"""Locks between processes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from kagglekit.terminal import console


@contextmanager
def locked(path: Path, what: str) -> Iterator[None]:
    """Hold the lock file `path`.lock, and wait while another process holds it. A kill releases it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(f"{path}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        console.note(f"another kagglekit is working on {what}; waiting for it")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
