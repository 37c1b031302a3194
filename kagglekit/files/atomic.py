"""Write files and folders atomically: they are replaced as a whole, or stay as they were."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kagglekit.files.locks import locked

MARKER = "done.json"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Write a temporary file beside `path`, and move it to `path` when the block succeeds.

    Yields:
        The file to write. When the block fails, it is removed and `path` stays as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write bytes to a file atomically."""
    with replacing(path) as part:
        part.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write text to a file atomically, as UTF-8."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")


def write_json(path: Path, data: Any) -> None:
    """Write `data` as JSON to a file atomically."""
    write_text(path, json.dumps(data, indent=1, default=str, ensure_ascii=False) + "\n")


def move_into_place(part: Path, path: Path) -> None:
    """Move a finished file or folder to `path`, for a part that stays after a kill to be resumed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    os.replace(part, path)


def done_key(target: Path) -> str | None:
    """Return the key with which the folder `target` was completed, or None where it is incomplete."""
    try:
        key = json.loads((target / MARKER).read_text(encoding="utf-8"))["key"]
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
        return None
    return str(key)


@contextmanager
def building(target: Path, key: str) -> Iterator[Path | None]:
    """Build the folder `target` completely, or not at all.

    Args:
        key: hash of everything that its content depends on.

    Yields:
        A temporary folder to fill, or None where `target` is already complete with this key. When the
        block succeeds, the marker is written and the folder renamed; when it fails, the folder is
        removed. A second process waits until the first has finished, and then gets None.
    """
    if done_key(target) == key:
        yield None
        return
    with locked(target, target.name):
        if done_key(target) == key:
            yield None
            return
        part = target.with_name(f".{target.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        try:
            yield part
            write_json(part / MARKER, {"key": key})
            if target.exists():
                shutil.rmtree(target)
            move_into_place(part, target)
        finally:
            shutil.rmtree(part, ignore_errors=True)
