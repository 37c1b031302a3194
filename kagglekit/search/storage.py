"""Where studies are stored: a journal file in the workspace, or a database that machines share."""

from collections.abc import Iterator
from contextlib import contextmanager

import optuna
from optuna.storages import BaseStorage

from kagglekit.errors import KagglekitError
from kagglekit.files.faults import explain
from kagglekit.files.workspace import Workspace
from kagglekit.search.journal import open_journal
from kagglekit.search.locks import with_driver

optuna.logging.set_verbosity(optuna.logging.ERROR)  # kagglekit reports failed trials itself


def open_storage(workspace: Workspace, model: str) -> BaseStorage:
    """Open the storage of an architecture's studies.

    Raises:
        KagglekitError: it cannot be opened; the message says why, without the password of an address.
    """
    address, path = workspace.config.search.storage, workspace.journal(model)
    with explain_failures("search.storage" if address else str(path)):
        if address:
            return optuna.storages.RDBStorage(with_driver(address), engine_kwargs={"pool_pre_ping": True})
        return open_journal(path)


@contextmanager
def explain_failures(place: str) -> Iterator[None]:
    """Explain the failures of a storage within the block, see `storage_error`."""
    try:
        yield
    except (OSError, KagglekitError):  # a full disk, a file that must not be written
        raise
    except ImportError as error:
        raise KagglekitError(
            f"search.storage needs a driver that is not installed: {error}",
            hint="pip install 'kagglekit[cluster]', or leave search.storage out",
        ) from error
    except Exception as error:  # drivers have no common error class
        raise storage_error(error, place) from error


def all_studies(workspace: Workspace) -> list[optuna.Study]:
    """Load every study of the database, or else of the workspace's journals.

    Raises:
        KagglekitError: see `open_storage`.
    """
    models = [path.stem for path in sorted(workspace.studies.glob("*.journal"))]
    if workspace.config.search.storage:  # one database has the studies of all architectures
        models = [""]
    return [study for model in models for study in studies_in(open_storage(workspace, model))]


def studies_in(storage: BaseStorage) -> list[optuna.Study]:
    """Load every study of a storage."""
    names = [study.study_name for study in storage.get_all_studies()]
    return [optuna.load_study(study_name=name, storage=storage) for name in names]


def is_storage_error(error: Exception) -> bool:
    """Return whether a database failed."""
    return isinstance(error, optuna.exceptions.StorageInternalError) or (
        type(error).__module__.startswith("sqlalchemy")
    )


def storage_error(error: Exception, place: str) -> KagglekitError:
    """Explain a storage's failure; `place` stands in for its address, which can contain a password."""
    if (fault := explain(error)) is not None:  # SQLite on a full disk
        return fault
    text = str(error.__cause__ or error) if "during the commit" in str(error) else str(error)
    first = next((line for line in text.splitlines() if line), type(error).__name__)
    hints = {
        "locked": "another program has locked it: wait for it or end it, then run the same command again",
        "readonly": "make it writable, or name another search.storage",
        "read-only": "make it writable, or name another search.storage",
        "updating optuna": "a newer Optuna has made it: pip install --upgrade optuna",
        "compatible with the table schema": "optuna storage upgrade --storage URL, or name another",
        "refused": "start the database, or correct search.storage",
        "does not exist": "create the database, or correct search.storage",
    }
    usual = "check search.storage" if place == "search.storage" else f"move {place} away and search again"
    hint = next((hint for word, hint in hints.items() if word in text), usual)
    return KagglekitError(f"{place} cannot be opened: {first}", hint=hint)


def close_storage(storage: BaseStorage) -> None:
    """Close a database's connections; a journal has none."""
    if isinstance(storage, optuna.storages.RDBStorage):
        storage.remove_session()
        storage.engine.dispose()
