"""Locks on names, such as trials, that reach as far as the study's storage: one machine, or several.

Each is held by one process at a time until it lets go or dies.
"""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import Timeout

from kagglekit.files.locks import lock_file
from kagglekit.files.workspace import Workspace, folder_name


class FileLocks:
    """Locked files in a folder; the kernel releases those of a dead process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def hold(self, name: str, *, wait: bool = True) -> Iterator[bool]:
        """Hold a name within the block; without `wait` only if it is free. Yield whether it is held."""
        path = self.folder / f"{folder_name(name)}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = lock_file(path)
        try:
            lock.acquire(timeout=-1 if wait else 0)
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()


class PostgresLocks:
    """Advisory locks, each on its own connection; the server releases them when the connection ends.

    (https://www.postgresql.org/docs/15/explicit-locking.html#ADVISORY-LOCKS)
    """

    def __init__(self, address: str) -> None:
        from sqlalchemy import create_engine
        from sqlalchemy.pool import NullPool

        self.engine = create_engine(with_driver(address), poolclass=NullPool, isolation_level="AUTOCOMMIT")

    @contextmanager
    def hold(self, name: str, *, wait: bool = True) -> Iterator[bool]:
        """See `FileLocks.hold`."""
        from sqlalchemy import text

        query = text(f"SELECT {'pg_advisory_lock' if wait else 'pg_try_advisory_lock'}(:key)")
        key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
        with self.engine.connect() as connection:
            held = connection.execute(query, {"key": key}).scalar()
            yield wait or bool(held)


Locks = FileLocks | PostgresLocks


def open_locks(workspace: Workspace) -> Locks:
    """Return PostgreSQL's locks, shared by all its machines, or file locks in the workspace."""
    address = workspace.config.search.storage or ""
    return PostgresLocks(address) if address.startswith("postgresql") else FileLocks(workspace.studies)


def with_driver(address: str) -> str:
    """Name the driver of kagglekit[cluster] in a PostgreSQL address that names none."""
    return re.sub("^postgresql://", "postgresql+psycopg://", address)
