"""The one writer: a file or a folder is replaced whole, or stays as it was."""

from __future__ import annotations

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
    """Write a file beside `path`, and move it there when the block ends well.

    Yields:
        The file to write. When the block fails it is removed, and `path` stays as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Replace a file by `data`."""
    with replacing(path) as part:
        part.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Replace a file by `text`, as UTF-8."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")


def write_json(path: Path, data: Any) -> None:
    """Replace a file by `data` as JSON."""
    write_text(path, json.dumps(data, indent=1, default=str, ensure_ascii=False) + "\n")


def move_into_place(part: Path, path: Path) -> None:
    """Move a finished download, which a kill leaves to be resumed, over `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    os.replace(part, path)


def done_key(target: Path) -> str | None:
    """The key that the folder `target` was completed with, or None where it is not complete."""
    try:
        key = json.loads((target / MARKER).read_text(encoding="utf-8"))["key"]
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
        return None
    return str(key)


@contextmanager
def building(target: Path, key: str) -> Iterator[Path | None]:
    """Make the folder `target` whole, or not at all.

    Args:
        target: the folder to make.
        key: hash of everything that shapes it.

    Yields:
        A temporary folder to fill, or None where `target` is already complete with this key. When
        the block ends well, the marker is written and the folder renamed; when it fails, removed.
        A second process waits, and finds the work done.
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
            os.replace(part, target)
        finally:
            shutil.rmtree(part, ignore_errors=True)
