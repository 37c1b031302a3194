"""Where studies are kept, and who is at work on them: a journal file, or a database that machines share."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import optuna
from filelock import FileLock, Timeout
from optuna.storages import BaseStorage

from kagglekit.errors import KagglekitError
from kagglekit.files.workspace import Workspace
from kagglekit.search.journal import open_journal

optuna.logging.set_verbosity(optuna.logging.ERROR)  # a trial that fails is told of in our words
POSTGRES = "postgresql://"


def open_storage(workspace: Workspace, model: str) -> BaseStorage:
    """The storage of an architecture's studies.

    Raises:
        KagglekitError: it cannot be opened; the message says why, without the password in an address.
    """
    path = workspace.studies / f"{model}.journal"
    try:
        return (
            _database(workspace.config.search.storage)
            if workspace.config.search.storage
            else open_journal(path)
        )
    except OSError:  # a full disk, a file that must not be written
        raise
    except ImportError as error:
        raise KagglekitError(
            f"search.storage needs a driver that is not installed: {error}",
            hint="pip install 'kagglekit[cluster]', or leave search.storage out",
        ) from error
    except Exception as error:  # a storage's failures are its driver's: there is no common class
        raise explained(error, "search.storage" if workspace.config.search.storage else str(path)) from error


def all_studies(workspace: Workspace) -> list[optuna.Study]:
    """Every study of the database, or else of the workspace's journals, to look at.

    Raises:
        KagglekitError: as `open_storage`.
    """
    journals = [path.stem for path in sorted(workspace.studies.glob("*.journal"))]
    places = (
        [""] if workspace.config.search.storage else journals
    )  # a database holds those of all architectures
    storages = [open_storage(workspace, model) for model in places]
    return [
        optuna.load_study(study_name=study.study_name, storage=storage)
        for storage in storages
        for study in storage.get_all_studies()
    ]


def explained(error: Exception, shown: str) -> KagglekitError:
    """What a storage's failure means; `shown` stands for its address, which can hold a password."""
    text = str(error.__cause__ or error) if "during the commit" in str(error) else str(error)
    first = next((line for line in text.splitlines() if line), type(error).__name__)
    hints = {
        "locked": "another program holds it: wait or end that one, then run the same command again",
        "readonly": "make it writable, or name another search.storage",
        "read-only": "make it writable, or name another search.storage",
        "compatible with the table schema": "optuna storage upgrade --storage URL, or name another",
        "refused": "start the database, or correct search.storage",
        "does not exist": "create the database, or correct search.storage",
    }
    usual = "check search.storage" if shown == "search.storage" else f"move {shown} away and search again"
    hint = next((hint for word, hint in hints.items() if word in text), usual)
    return KagglekitError(f"{shown} cannot be opened: {first}", hint=hint)


def _database(address: str) -> BaseStorage:
    return optuna.storages.RDBStorage(driven(address), engine_kwargs={"pool_pre_ping": True})


def close_storage(storage: BaseStorage) -> None:
    """End a database's connections; a journal has none."""
    if isinstance(storage, optuna.storages.RDBStorage):
        storage.remove_session()
        storage.engine.dispose()


def driven(address: str) -> str:
    """The address with the driver that kagglekit[cluster] brings."""
    return address.replace(POSTGRES, "postgresql+psycopg://", 1) if address.startswith(POSTGRES) else address


class Locks(Protocol):
    """Names that one process at a time holds, until it lets go or dies."""

    @contextmanager
    def hold(self, name: str) -> Iterator[None]:
        """Hold a name within the block, waiting for another process that has it."""
        ...

    @contextmanager
    def take(self, name: str) -> Iterator[bool]:
        """Hold a name within the block if nobody has it; whether it was free."""
        ...


def open_locks(workspace: Workspace) -> Locks:
    """Locks that reach as far as the storage does: PostgreSQL's own for all its machines, else the
    workspace's files, which the processes of one machine share."""
    address = workspace.config.search.storage or ""
    return PostgresLocks(address) if address.startswith("postgresql") else FileLocks(workspace.studies)


class FileLocks:
    """Locked files; the kernel lets go of a dead process's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def hold(self, name: str) -> Iterator[None]:
        """See Locks."""
        with self._lock(name):
            yield

    @contextmanager
    def take(self, name: str) -> Iterator[bool]:
        """See Locks."""
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
    """Advisory locks, each on a connection of its own; the server lets go when the connection ends.

    (https://www.postgresql.org/docs/15/explicit-locking.html#ADVISORY-LOCKS)

    Args:
        address: of the database.
    """

    def __init__(self, address: str) -> None:
        from sqlalchemy import create_engine
        from sqlalchemy.pool import NullPool

        self.engine = create_engine(driven(address), poolclass=NullPool, isolation_level="AUTOCOMMIT")

    @contextmanager
    def hold(self, name: str) -> Iterator[None]:
        """See Locks."""
        with self.engine.connect() as connection:
            self._ask(connection, "pg_advisory_lock", name)
            yield

    @contextmanager
    def take(self, name: str) -> Iterator[bool]:
        """See Locks."""
        with self.engine.connect() as connection:
            yield bool(self._ask(connection, "pg_try_advisory_lock", name))

    def _ask(self, connection: Any, function: str, name: str) -> Any:
        from sqlalchemy import text

        number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
        return connection.execute(text(f"SELECT {function}(:key)"), {"key": number}).scalar()
