"""Locks on names, such as trials, that reach as far as the study's storage: one machine, or several."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from filelock import FileLock, Timeout

from kagglekit.files.workspace import Workspace

POSTGRES = "postgresql://"


class Locks(Protocol):
    """Locks by name, each held by one process at a time until it lets go or dies."""

    @contextmanager
    def hold(self, name: str) -> Iterator[None]:
        """Hold a name within the block; wait while another process holds it."""
        ...

    @contextmanager
    def try_hold(self, name: str) -> Iterator[bool]:
        """Hold a name within the block if it is free; yield whether it was."""
        ...


def open_locks(workspace: Workspace) -> Locks:
    """Return PostgreSQL's locks, shared by all its machines, or file locks in the workspace."""
    address = workspace.config.search.storage or ""
    return PostgresLocks(address) if address.startswith("postgresql") else FileLocks(workspace.studies)


class FileLocks:
    """Locked files in a folder; the kernel releases those of a dead process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def hold(self, name: str) -> Iterator[None]:
        """See `Locks`."""
        with self._lock(name):
            yield

    @contextmanager
    def try_hold(self, name: str) -> Iterator[bool]:
        """See `Locks`."""
        lock = self._lock(name)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()

    def _lock(self, name: str) -> FileLock:
        path = self.folder / f"{name}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(path)


class PostgresLocks:
    """Advisory locks, each on its own connection; the server releases them when the connection ends.

    (https://www.postgresql.org/docs/15/explicit-locking.html#ADVISORY-LOCKS)
    """

    def __init__(self, address: str) -> None:
        from sqlalchemy import create_engine
        from sqlalchemy.pool import NullPool

        self.engine = create_engine(with_driver(address), poolclass=NullPool, isolation_level="AUTOCOMMIT")

    @contextmanager
    def hold(self, name: str) -> Iterator[None]:
        """See `Locks`."""
        with self.engine.connect() as connection:
            self._call(connection, "pg_advisory_lock", name)
            yield

    @contextmanager
    def try_hold(self, name: str) -> Iterator[bool]:
        """See `Locks`."""
        with self.engine.connect() as connection:
            yield bool(self._call(connection, "pg_try_advisory_lock", name))

    def _call(self, connection: Any, function: str, name: str) -> Any:
        from sqlalchemy import text

        number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
        return connection.execute(text(f"SELECT {function}(:key)"), {"key": number}).scalar()


def with_driver(address: str) -> str:
    """Name the driver of kagglekit[cluster] in a PostgreSQL address that names none."""
    return address.replace(POSTGRES, "postgresql+psycopg://", 1) if address.startswith(POSTGRES) else address
