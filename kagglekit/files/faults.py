"""Tell what is the machine's fault: a full disk, a quota, a disk that fails, a folder that is read-only.

Python's own functions raise OSError. Libraries in Rust and C++ (polars, safetensors, Arrow, SQLite) pass the
number, or words alone, inside of errors of their own.
"""

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kagglekit.errors import KagglekitError
from kagglekit.terminal import console
from kagglekit.terminal.progress import amount

AGAIN = "run the same command again; nothing is lost"
_FULL = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "a file is larger than the file system, or `ulimit -f`, allows",
}
_FAILING = (errno.EIO, errno.ESTALE, errno.ENXIO, errno.ENODEV)
_REFUSED = (errno.EROFS, errno.EACCES, errno.EPERM)
_TOO_MANY = {
    errno.EMFILE: ("too many files are open", "allow more with `ulimit -n 4096`"),
    errno.ENFILE: ("too many files are open on this machine", "close other programs"),
    errno.EAGAIN: (
        "the system allows no more threads or processes",
        "close other programs, raise the limit (ulimit -u), or set OMP_NUM_THREADS=1",
    ),
}
_NUMBER = re.compile(r"\((?:os error|errno) (\d+)\)|\[errno (\d+)\]", re.IGNORECASE)
_WORDS = {
    "database or disk is full": errno.ENOSPC,  # SQLite
    "disk I/O error": errno.EIO,
    "can't start new thread": errno.EAGAIN,
    **{os.strerror(number): number for number in (errno.ENOSPC, errno.EDQUOT)},
}


class MachineError(KagglekitError):
    """The machine cannot do what is asked: its disk is full, fails or must not be written to.

    Args:
        refused: the path that must not be written to or read, where that is the fault.
    """

    def __init__(self, message: str, *, hint: str | None = None, refused: Path | None = None) -> None:
        super().__init__(message, hint=hint)
        self.refused = refused


def fault_of(error: BaseException) -> int | None:
    """Return the number (errno) of the machine's fault in an error or its causes; None without one."""
    seen: BaseException | None = error
    while seen is not None:
        number = seen.errno if isinstance(seen, OSError) else _number_in(str(seen))
        if number in (*_FULL, *_FAILING, *_REFUSED, *_TOO_MANY):
            return number
        seen = seen.__cause__
    return None


def is_fault(error: BaseException) -> bool:
    """Return whether the machine failed, rather than what it was asked to do."""
    return isinstance(error, OSError | MachineError) or fault_of(error) is not None


def _number_in(text: str) -> int | None:
    if match := _NUMBER.search(text):
        return int(match[1] or match[2])
    return next((number for words, number in _WORDS.items() if words in text), None)


@contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Raise MachineError where the machine's fault ends the block, which writes to `folder`."""
    try:
        yield
    except KagglekitError:
        raise
    except Exception as error:
        if (explained := explain(error, folder)) is None:
            raise
        raise explained from error


@contextmanager
def unless_refused(what: str = "") -> Iterator[None]:
    """Leave the block where its folder must not be written to, for what can be done without being kept.

    Args:
        what: is then noted, with the reason.
    """
    try:
        yield
    except MachineError as error:
        if error.refused is None:
            raise
        if what:
            console.note(f"{what}: {error}")


def explain(error: BaseException, folder: Path | None = None) -> MachineError | None:
    """Return what to say of an error that is the machine's fault; None of another.

    Args:
        folder: where the block wrote, for errors that do not say it.
    """
    number = fault_of(error)
    name = error.filename if isinstance(error, OSError) else None
    path = Path(os.fsdecode(name)) if isinstance(name, str | bytes) else folder
    where = "" if path is None else f": {path}"
    if number in _FULL:
        remedy = "allow larger files" if number == errno.EFBIG else "free some space"
        return MachineError(f"{_FULL[number]}{where}{_free(path)}", hint=f"{remedy} and {AGAIN}")
    if number in _FAILING:
        hint = f"check the disk or its connection, then {AGAIN}"
        return MachineError(f"the disk fails: {os.strerror(number)}{where}", hint=hint)
    if number in _TOO_MANY:
        what, remedy = _TOO_MANY[number]
        return MachineError(what + where, hint=f"{remedy}, and {AGAIN}")
    if number in _REFUSED:
        hint = "check the path and its permissions"
        return MachineError(f"{os.strerror(number)}{where}", hint=hint, refused=path or Path())
    return None


def _free(path: Path | None) -> str:
    """Say how much is free on the disk of a path, and where it is files that have no room."""
    if path is None or (folder := nearest_folder(path)) is None:
        return ""
    try:
        free = amount(shutil.disk_usage(folder).free, "B")
        files = os.statvfs(folder)
    except OSError:
        return ""
    more = ", and room for no more files" if files.f_files and not files.f_favail else ""
    return f" ({free} free in {folder}{more})"


def is_writable(folder: Path) -> bool:
    """Tell whether a folder can be written to, or made."""
    near = nearest_folder(folder)
    return near is not None and os.access(near, os.W_OK | os.X_OK)


def check_file(path: Path) -> None:
    """Check that a file can be written, before the work whose result it is to hold.

    Raises:
        MachineError: its folder must not be written to.
        KagglekitError: it is a folder, or would lie in a file.
    """
    if path.is_dir():
        raise KagglekitError(f"{path} is a folder, not a file", hint=f"name a file in it: {path / 'FILE'}")
    if file := next((folder for folder in path.parents if folder.is_file()), None):
        raise KagglekitError(f"{path} cannot be written: {file} is a file", hint="name another folder")
    if not is_writable(path.parent):
        raise MachineError(
            f"{path} cannot be written: {reason(path.parent)}",
            hint="name a file in a folder that can be written to",
            refused=path,
        )


def reason(folder: Path) -> str:
    """Return why a folder cannot be written to."""
    near = nearest_folder(folder)
    read_only = near is not None and os.statvfs(near).f_flag & os.ST_RDONLY
    return os.strerror(errno.EROFS if read_only else errno.EACCES)


def nearest_folder(path: Path) -> Path | None:
    """Return the folder at a path or, where there is none, the nearest above it."""
    try:
        return next((p for p in (path, *path.absolute().parents) if p.is_dir()), None)
    except OSError:
        return None
