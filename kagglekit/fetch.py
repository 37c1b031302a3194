"""The host's files -> raw/, each whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kagglekit import archive, console
from kagglekit.config import Config
from kagglekit.errors import MissingError
from kagglekit.hosts.base import Host, HostFile, pick_file
from kagglekit.workspace import Workspace, locked, write_json

FINGERPRINTS = "fingerprints.json"
CHUNK_BYTES = 2**20
INCOMING = ".incoming"
"""Where a file is until it is known to be whole, so that a bad one does not replace a good one."""


@dataclass(frozen=True)
class Fetched:
    """One file in raw/."""

    name: str
    size: int
    new: bool
    """False: it was there already."""


def wanted_files(config: Config) -> list[str]:
    """The files that kagglekit reads."""
    data = config.data
    return list(dict.fromkeys([data.train_archive, data.test_archive, data.sample_submission]))


def fetch(
    config: Config, workspace: Workspace, host: Host, names: Sequence[str] = (), *, force: bool = False
) -> list[Fetched]:
    """Download what is not there yet.

    Args:
        config: names the files wanted where `names` is empty.
        workspace: where raw/ is.
        host: where they come from. A host that offers only `<slug>.zip` (Kaggle's "download all") gives that.
        names: files to fetch instead.
        force: fetch again what is there.

    Raises:
        HostError: the host refused or could not be reached, or the disk is too small.
        ArchiveError: what came is not an archive; it is removed.
    """
    offered = host.files()
    wanted = list(names) or wanted_files(config)
    bundle = f"{config.competition.slug}.zip"
    if not names and not {f.name for f in offered} & set(wanted) and bundle in {f.name for f in offered}:
        wanted = [bundle]
    files = [pick_file(offered, name) for name in wanted]
    with locked(workspace.raw, "this download"):
        return [_fetch_one(host, file, workspace.raw, force) for file in files]


def _fetch_one(host: Host, file: HostFile, folder: Path, force: bool) -> Fetched:
    path = folder / file.name
    if path.is_file() and not force and file.size in (None, path.stat().st_size):
        return Fetched(file.name, path.stat().st_size, new=False)
    with console.bar(f"fetch {file.name}", file.size, "B") as advance:
        arrived = host.download(file.name, folder / INCOMING, advance)
    if arrived.suffix in (".7z", ".zip"):
        try:
            archive.members(arrived)
        except Exception:
            arrived.unlink()  # so that the next fetch does not take it for whole
            raise
    path.parent.mkdir(parents=True, exist_ok=True)
    os.replace(arrived, path)
    fingerprint(path)
    return Fetched(file.name, path.stat().st_size, new=True)


def raw_archive(config: Config, workspace: Workspace, name: str) -> Path:
    """A fetched file; taken out of `<slug>.zip` where only that was fetched.

    Raises:
        MissingError: neither is there.
    """
    path = workspace.raw / name
    bundle = workspace.raw / f"{config.competition.slug}.zip"
    if not path.is_file() and bundle.is_file():
        with locked(bundle, bundle.name):
            if not path.is_file():
                console.note(f"unpacking {bundle.name}")
                archive.unpack_nested(bundle, workspace.raw, wanted_files(config))
    if not path.is_file():
        raise MissingError(f"{path} is not there", hint="fetch it: kagglekit fetch")
    return path


def fingerprint(path: Path) -> str:
    """sha256 of a file, remembered beside it while size and time stay the same."""
    notes = path.parent / FINGERPRINTS
    stat = path.stat()
    known = _read_notes(notes)
    entry = known.get(path.name)
    if entry is not None and entry[:2] == [stat.st_size, stat.st_mtime_ns]:
        return str(entry[2])
    sha256 = hashlib.sha256()
    with path.open("rb") as file, console.bar(f"check {path.name}", stat.st_size, "B") as advance:
        while chunk := file.read(CHUNK_BYTES):
            sha256.update(chunk)
            advance(len(chunk))
    digest = sha256.hexdigest()
    with locked(notes, FINGERPRINTS):
        write_json(notes, {**_read_notes(notes), path.name: [stat.st_size, stat.st_mtime_ns, digest]})
    return digest


def _read_notes(notes: Path) -> dict[str, list[object]]:
    try:
        data = json.loads(notes.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}
