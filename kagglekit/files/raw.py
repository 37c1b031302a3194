"""Fingerprints of files, which tell whether they have changed since."""

import hashlib
import threading
from pathlib import Path
from typing import Any, NamedTuple

from kagglekit.errors import MissingError
from kagglekit.files.atomic import read_json, write_json
from kagglekit.files.faults import unless_refused
from kagglekit.files.json_shape import shaped
from kagglekit.files.locks import locked
from kagglekit.terminal import progress

CHUNK_BYTES = 2**20
_SAVING = threading.Lock()


class Fingerprint(NamedTuple):
    """What is known of a file: one entry of fingerprints.json."""

    size: int = -1
    mtime_ns: int = -1
    sha256: str = ""
    proven: str | None = None
    """The sha256 at the time when the file was tested and undamaged."""
    listed: int | None = None
    """The size that the host listed then, which may be wrong, or that of the file packed."""
    created: str | None = None
    """The time that the host listed then, ISO 8601; None if it gave none, or of an earlier version."""


def fingerprint(path: Path, notes: Path) -> str:
    """Return the sha256 of a file, which is read again only where its size or its time has changed.

    Args:
        notes: fingerprints.json of the workspace. Nothing is written beside the file, which may be mounted,
            or be called as the notes are.
    """
    stat, last = path.stat(), last_fingerprint(path, notes)
    if (last.size, last.mtime_ns) == (stat.st_size, stat.st_mtime_ns):
        return last.sha256
    digest = sha256(path)
    entry = last._replace(size=stat.st_size, mtime_ns=stat.st_mtime_ns, sha256=digest)
    with unless_refused():  # in a workspace that is read-only, it is read each time
        save_fingerprint(path, notes, entry)
    return digest


def unchanged_fingerprint(path: Path, notes: Path) -> str:
    """Return the fingerprint of a file, which is still as it was fetched, if it was.

    Raises:
        MissingError: it has changed since.
    """
    digest = fingerprint(path, notes)
    if last_fingerprint(path, notes).proven not in (None, digest):
        raise _changed(path)
    return digest


def check_fetched(path: Path, data: bytes, notes: Path) -> None:
    """Raise MissingError where the bytes of a file are not those that were fetched."""
    proven = last_fingerprint(path, notes).proven
    if proven is not None and hashlib.sha256(data).hexdigest() != proven:
        raise _changed(path)


def _changed(path: Path) -> MissingError:
    return MissingError(
        f"{path} has changed since it was fetched: it was edited or damaged",
        hint="kagglekit fetch gets it again; files of your own belong in another folder (external)",
    )


def last_fingerprint(path: Path, notes: Path) -> Fingerprint:
    """Return the saved fingerprint of a file, which may have changed since; an empty one without any."""
    try:
        return Fingerprint(*_read_entries(notes)[_name(path, notes)])
    except (KeyError, TypeError):
        return Fingerprint()


def save_fingerprint(path: Path, notes: Path, entry: Fingerprint) -> None:
    """Save what is known of a file now."""
    with _SAVING, locked(notes, notes.name):
        write_json(notes, {**_read_entries(notes), _name(path, notes): entry})


def _name(path: Path, notes: Path) -> str:
    """Return a file's name in the notes, which a workspace that is moved keeps."""
    if path.is_relative_to(notes.parent):
        return path.relative_to(notes.parent).as_posix()
    return str(path.absolute())


def sha256(path: Path) -> str:
    """Compute the sha256 of a file, with a progress bar."""
    sha256 = hashlib.sha256()
    with path.open("rb") as file, progress.bar(f"check {path.name}", path.stat().st_size, "B") as advance:
        while chunk := file.read(CHUNK_BYTES):
            sha256.update(chunk)
            advance(len(chunk))
    return sha256.hexdigest()


def _read_entries(path: Path) -> dict[str, list[Any]]:
    try:
        return shaped(dict[str, list[Any]], read_json(path))
    except (FileNotFoundError, ValueError):
        return {}
