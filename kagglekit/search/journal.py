"""A study's journal, one JSON record a line: mended when it is opened, checked when it is read."""

from collections.abc import Generator
from functools import cache
from pathlib import Path
from shlex import quote
from typing import Any, cast

import optuna
from filelock import BaseFileLock
from optuna.distributions import json_to_distribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._storage import JournalOperation  # Optuna lists its operations nowhere else

from kagglekit.errors import KagglekitError
from kagglekit.files.atomic import write_bytes
from kagglekit.files.checksums import sealed, unsealed
from kagglekit.files.json_lines import with_line_end, without_zeros
from kagglekit.files.locks import lock_file
from kagglekit.terminal import console

OPERATIONS = frozenset(int(operation) for operation in JournalOperation)


def open_journal(path: Path) -> JournalStorage:
    """Open a journal, without what a kill or a power cut left: zeros, and a last line half written.

    Raises:
        KagglekitError: a line is damaged, or a newer Optuna has written it; the journal stays as it is.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # The kernel releases this lock when its process is killed; Optuna's, with the same methods, wait 30 s.
    lock = lock_file(path.with_name(f"{path.name}.lock"))
    with lock:
        records = _mend(path)
    journal = Journal(path, lock)
    try:
        storage = JournalStorage(journal)
    except (KagglekitError, OSError):
        raise
    except Exception as error:  # Optuna raises KeyError, AssertionError ... at a record that it does not know
        raise journal.unknown(f"{type(error).__name__}: {error}") from error
    if journal.record < records:  # Optuna passes over a last line that is no JSON
        raise journal.damaged()
    return storage


class Journal(JournalFileBackend):
    """Optuna's journal file, whose records are checked before Optuna replays them."""

    def __init__(self, path: Path, lock: BaseFileLock) -> None:
        super().__init__(str(path), lock_obj=cast(Any, lock))
        self.path = path
        self.record = 0
        """Number of the record that is read, from 0."""

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        """Yield the records from a number on.

        Raises:
            KagglekitError: one is damaged, or a newer Optuna has written it.
        """
        self.record = log_number_from
        try:
            for record in super().read_logs(log_number_from):
                yield self._checked(record)
                self.record += 1
        except (ValueError, RecursionError) as error:
            raise self.damaged() from error

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append records with their checksums."""
        super().append_logs([sealed(record) for record in logs])

    def unknown(self, what: str) -> KagglekitError:
        """Return the error of a record that this Optuna does not know."""
        return KagglekitError(
            f"{self.path}: record {self.record + 1} is unknown to Optuna {optuna.__version__}, "
            f"which is installed here: {what}",
            hint="a newer Optuna has written it: pip install --upgrade optuna; the journal is unchanged",
        )

    def damaged(self) -> KagglekitError:
        """Return the error of a record that cannot be read."""
        return _damaged(self.path, self.record, self._log_number_offset.get(self.record, 0))

    def _checked(self, record: Any) -> dict[str, Any]:
        """Return a record without its checksum."""
        operation = record.get("op_code") if isinstance(record, dict) else None
        if not isinstance(operation, int):
            raise ValueError("no record of Optuna")
        if operation not in OPERATIONS:
            raise self.unknown(f"op_code {operation}")
        if "distribution" in record and (problem := _problem(str(record["distribution"]))):
            raise self.unknown(problem)
        return unsealed(record)


@cache
def _problem(distribution: str) -> str:
    """Return why a distribution cannot be read; '' where it can."""
    try:
        json_to_distribution(distribution)
    except Exception as error:  # KeyError, TypeError, ValueError, as its keys come
        return f"distribution {distribution[:80]} ({type(error).__name__})"
    return ""


def _mend(path: Path) -> int:
    """Cut out zeros, and cut off a last line without its end, to which Optuna would append.

    Returns:
        The number of records.

    Raises:
        KagglekitError: what is left of the last line is no record.
    """
    with path.open("a+b") as file:
        file.seek(0)
        data = file.read()
        kept, _, rest = with_line_end(without_zeros(data)).rpartition(b"\n")
        kept += b"\n" if kept else b""
        if rest and not rest.startswith(b"{"):
            raise _damaged(path, kept.count(b"\n"), len(kept))
        if data.startswith(kept):
            file.truncate(len(kept))
        else:
            write_bytes(path, kept)
    if zeros := data.count(0):
        console.note(f"{path.name}: cut out {zeros:,} zero bytes, which a power cut or a full disk left")
    return kept.count(b"\n")


def _damaged(path: Path, record: int, start: int) -> KagglekitError:
    return KagglekitError(
        f"{path} is damaged at byte {start:,}, in record {record + 1}",
        hint=f"keep the trials before it: head -c {start} {quote(str(path))} > kept, then move it into place",
    )
