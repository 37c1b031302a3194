"""Every path, derived from the config; and how a stage's output comes into being."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from kagglekit import console

if TYPE_CHECKING:
    from kagglekit.config import Config

MARKER = "done.json"


def key_of(*parts: Any) -> str:
    """12 hex digits that change when anything in `parts` (JSON-able) changes."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def write_json(path: Path, data: Any) -> None:
    """Write `data` whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_text(json.dumps(data, indent=1, default=str, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(part, path)


def done_key(target: Path) -> str | None:
    """The key that the folder `target` was completed with, or None where it is not complete."""
    try:
        key = json.loads((target / MARKER).read_text(encoding="utf-8"))["key"]
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
        return None
    return str(key)


@contextmanager
def locked(path: Path, what: str) -> Iterator[None]:
    """Hold `path`.lock, waiting for another process that holds it. A kill releases it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(f"{path}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        console.note(f"another kagglekit is working on {what}; waiting for it")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def building(target: Path, key: str) -> Iterator[Path | None]:
    """Make the folder `target`, whole or not at all.

    Args:
        target: the folder to be made.
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


class Workspace:
    """Where everything of one competition lies. Other keys live in other folders."""

    def __init__(self, config: Config) -> None:
        self.root = config.workspace
        self.submissions = config.submissions
        self.raw = self.root / "raw"
        self.checkpoints = self.root / "checkpoints"
        self.audio = self.root / "audio"
        self.clips_path = self.root / "clips.parquet"
        self.features = self.root / "features"
        self.studies = self.root / "studies"
        self.runs = self.root / "runs"
        self.ensembles = self.root / "ensembles"
        self.host = self.root / "host"
        self.ledger_path = self.submissions / "leaderboard.jsonl"
