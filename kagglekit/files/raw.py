"""The fetched files in raw/, and the fingerprints that say whether they are as they were fetched."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from pathlib import Path
from typing import Any, NamedTuple

from kagglekit.config import Config
from kagglekit.errors import MissingError
from kagglekit.files import archive
from kagglekit.files.atomic import write_json
from kagglekit.files.locks import locked
from kagglekit.files.workspace import Workspace
from kagglekit.terminal import console, progress

FINGERPRINTS = "fingerprints.json"
CHUNK_BYTES = 2**20
_NOTES = threading.Lock()


def wanted_files(config: Config) -> list[str]:
    """The files that kagglekit reads."""
    data = config.data
    return list(dict.fromkeys([data.train_archive, data.test_archive, data.sample_submission]))


def raw_archive(workspace: Workspace, name: str) -> Path:
    """A fetched file; taken out of `<slug>.zip` where only that was fetched.

    Raises:
        MissingError: neither is there.
    """
    path = workspace.raw / name
    bundle = workspace.raw / f"{workspace.config.competition.slug}.zip"
    if not path.is_file() and bundle.is_file():
        with locked(bundle, bundle.name):
            if not path.is_file():
                console.note(f"unpacking {bundle.name}")
                archive.unpack_nested(bundle, workspace.raw, wanted_files(workspace.config))
    if not path.is_file():
        raise MissingError(f"{path} is not there", hint="fetch it: kagglekit fetch")
    return path


def fingerprint(path: Path) -> str:
    """sha256 of a file, remembered beside it while size and time stay the same."""
    stat, known = path.stat(), noted(path)
    if (known.size, known.mtime_ns) == (stat.st_size, stat.st_mtime_ns):
        return known.sha256
    digest = sha256(path)
    note(path, stat, digest, proven=False)
    return digest


class Noted(NamedTuple):
    """What FINGERPRINTS says of a file."""

    size: int = -1
    mtime_ns: int = -1
    sha256: str = ""
    proven: str | None = None
    """sha256 that it had when it was known to be good."""


def noted(path: Path) -> Noted:
    try:
        return Noted(*_read_notes(path.parent / FINGERPRINTS)[path.name])
    except (KeyError, TypeError):
        return Noted()


def note(path: Path, stat: os.stat_result, digest: str, *, proven: bool) -> None:
    notes = path.parent / FINGERPRINTS
    with _NOTES, locked(notes, FINGERPRINTS):
        good = digest if proven else noted(path).proven
        entry = Noted(stat.st_size, stat.st_mtime_ns, digest, good)
        write_json(notes, {**_read_notes(notes), path.name: entry})


def sha256(path: Path) -> str:
    sha256 = hashlib.sha256()
    with path.open("rb") as file, progress.bar(f"check {path.name}", path.stat().st_size, "B") as advance:
        while chunk := file.read(CHUNK_BYTES):
            sha256.update(chunk)
            advance(len(chunk))
    return sha256.hexdigest()


def _read_notes(notes: Path) -> dict[str, list[Any]]:
    try:
        data = json.loads(notes.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}
