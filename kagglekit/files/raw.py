"""Fingerprints of files, which tell whether they have changed since."""

import hashlib
import os
import threading
from pathlib import Path
from typing import Any, NamedTuple

from kagglekit.files.atomic import read_json, write_json
from kagglekit.files.locks import locked
from kagglekit.terminal import progress

FINGERPRINTS = "fingerprints.json"
CHUNK_BYTES = 2**20
_SAVING = threading.Lock()


def fingerprint(path: Path, folder: Path | None = None) -> str:
    """Return the sha256 of a file, which is read again only where its size or its time has changed.

    Args:
        folder: keeps FINGERPRINTS; by default the file's own. Nothing is written beside a mounted file.
    """
    stat, last = path.stat(), last_fingerprint(path, folder)
    if (last.size, last.mtime_ns) == (stat.st_size, stat.st_mtime_ns):
        return last.sha256
    digest = sha256(path)
    save_fingerprint(path, stat, digest, proven=False, folder=folder)
    return digest


class Fingerprint(NamedTuple):
    """An entry of FINGERPRINTS."""

    size: int = -1
    mtime_ns: int = -1
    sha256: str = ""
    proven: str | None = None
    """The sha256 at the time when the file was tested and undamaged."""


def last_fingerprint(path: Path, folder: Path | None = None) -> Fingerprint:
    """Return the saved fingerprint of a file, which may have changed since; an empty one without any."""
    entries, name = _entry(path, folder)
    try:
        return Fingerprint(*_read_entries(entries)[name])
    except (KeyError, TypeError):
        return Fingerprint()


def save_fingerprint(
    path: Path, stat: os.stat_result, digest: str, *, proven: bool, folder: Path | None = None
) -> None:
    """Save a file's sha256 with its size and time. Proven: the file has been tested."""
    entries, name = _entry(path, folder)
    with _SAVING, locked(entries, FINGERPRINTS):
        good = digest if proven else last_fingerprint(path, folder).proven
        entry = Fingerprint(stat.st_size, stat.st_mtime_ns, digest, good)
        write_json(entries, {**_read_entries(entries), name: entry})


def _entry(path: Path, folder: Path | None) -> tuple[Path, str]:
    """Return where the fingerprint of a file stands: FINGERPRINTS, and its name there."""
    if folder is None or path.parent == folder:
        return path.parent / FINGERPRINTS, path.name
    return folder / FINGERPRINTS, str(path.absolute())


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
        data = read_json(path)
    except (FileNotFoundError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}
