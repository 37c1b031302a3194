"""Write files and folders atomically: they are replaced as a whole, or stay as they were."""

import errno
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kagglekit.errors import KagglekitError
from kagglekit.files.checksums import home_of, sealed, sums_of_folder, unsealed
from kagglekit.files.faults import explained
from kagglekit.files.leftovers import leftovers_of, remove_at_end, remove_tree, temporary_name
from kagglekit.files.locks import locked

MARKER = "done.json"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Write a file in a temporary folder beside `path`, and move it to `path` when the block succeeds.

    Some libraries write to temporary files beside the file that they are to write. In a folder, these are
    removed with it, after a kill too.

    Yields:
        The file to write. When the block fails, it is removed and `path` stays as it was.

    Raises:
        MachineError: the disk is full, fails or must not be written to.
        KagglekitError: `path` is a folder.
    """
    if not path.name or path.is_dir():
        raise KagglekitError(f"{path} is a folder, not a file", hint=f"name a file in it: {path / 'FILE'}")
    with explained(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = temporary_name(path)
        remove_at_end(folder)
        folder.mkdir()
        try:
            yield folder / path.name
            os.replace(folder / path.name, path)
        finally:
            remove_tree(folder)


def write_bytes(path: Path, data: bytes) -> None:
    """Write bytes to a file atomically."""
    with replacing(path) as part:
        part.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write text to a file atomically, as UTF-8."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")


def write_json(path: Path, data: Mapping[str, Any], *, bound: bool = False) -> None:
    """Write `data` and its checksum as JSON to a file atomically.

    Args:
        bound: the file cannot be read in another run or fold, as `checksums.home_of` tells them apart.
    """
    text = json.dumps(sealed(data, home_of(path) if bound else ""), indent=1, ensure_ascii=False)
    write_text(path, text + "\n")


def read_json(path: Path, *, bound: bool = False) -> Any:
    """Read what `write_json` wrote; JSON without a checksum is read unchecked.

    Raises:
        OSError: it cannot be read.
        ValueError: it is damaged, of another run or fold, or no JSON.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise ValueError("its values are nested too deep") from None
    return unsealed(data, home_of(path) if bound else "") if isinstance(data, dict) else data


def move_into_place(part: Path, path: Path) -> None:
    """Move a finished file or folder to `path`, for a part that stays after a kill to be resumed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.replace(part, path)
    except OSError as error:
        if error.errno != errno.EXDEV or part.is_dir():
            raise
        with replacing(path) as copy:  # `path` lies on another disk, such as a raw/ that is a link
            shutil.copyfile(part, copy)
        part.unlink()


def done_key(target: Path) -> str | None:
    """Return the key with which the folder `target` was completed, or None where it is incomplete."""
    try:
        key = read_json(target / MARKER)["key"]
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

    Raises:
        MachineError: the disk is full, fails or must not be written to.
    """
    if done_key(target) == key:
        yield None
        return
    with locked(target, target.name), explained(target.parent):
        if done_key(target) == key:
            yield None
            return
        for old in leftovers_of(target):  # of a machine that lost power
            remove_tree(old)
        part, aside = temporary_name(target), temporary_name(target)
        for folder in (part, aside):
            remove_at_end(folder)
        part.mkdir(parents=True)
        try:
            yield part
            write_json(part / MARKER, {"key": key, "files": sums_of_folder(part)})
            if target.exists():  # moved as a whole, since a kill while it is removed would leave a part of it
                os.replace(target, aside)
            move_into_place(part, target)
        finally:
            remove_tree(part)
            remove_tree(aside)
