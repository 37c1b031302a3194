"""Checksums that files carry, so that what a disk has damaged is not read as if it were whole: XXH3, 64 bits.

Where a checksum stands depends on the file:

JSON          the key "xxh3", of the other keys' values
JSON lines    the same in every line
safetensors   the header's metadata, of all tensors and the state (kagglekit.training.checkpoint)
Parquet       16 bytes in front of the footer, of all other bytes
large files   one for each block of a mebibyte, in the marker of their folder (kagglekit.files.blocks)

A file of an earlier version has none, and is read unchecked. Predictions and weights are hashed with the name
of the run and fold that they belong to, so that those of another run are not taken for them.
"""

import json
import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xxhash

KEY = "xxh3"
BLOCK = 2**20
"""Bytes of a large file that have a checksum of their own."""
DAMAGED = "its checksum does not match its content"
_TAG = b"kk xxh3:"
_SIZE = len(_TAG) + 8


class DamagedFileError(ValueError):
    """A file's checksum does not match its content: the file is damaged, or of another run or fold."""

    def __init__(self) -> None:
        super().__init__(DAMAGED)


def home_of(path: Path) -> str:
    """Return the place of a run's file: the run or trial and, within it, the fold and the file's name."""
    levels = 3 if path.parent.name.startswith("fold_") else 2
    return "/".join(path.parts[-levels:])


def digest(*parts: Any) -> str:
    """Hash bytes one after the other, to 16 hex digits."""
    hasher = xxhash.xxh3_64()
    for part in parts:
        hasher.update(part)
    return hasher.hexdigest()


# --- JSON ---


def sealed(data: Mapping[str, Any], home: str = "") -> dict[str, Any]:
    """Return JSON-serialisable data with its checksum as the last key; values of other types become text."""
    plain = {name: value for name, value in data.items() if name != KEY}
    plain = json.loads(json.dumps(plain, default=str))
    return {**plain, KEY: _digest_of_json(plain, home)}


def unsealed(data: dict[str, Any], home: str = "") -> dict[str, Any]:
    """Return what was sealed, without its checksum.

    Raises:
        DamagedFileError: it is damaged, or of another home.
    """
    if KEY not in data:
        return data
    plain = {name: value for name, value in data.items() if name != KEY}
    if data[KEY] != _digest_of_json(plain, home):
        raise DamagedFileError
    return plain


def _digest_of_json(data: Any, home: str) -> str:
    return digest(json.dumps([home, data], sort_keys=True, separators=(",", ":")).encode())


# --- Parquet ---


def seal_parquet(path: Path, home: str = "") -> None:
    """Put a checksum of all bytes in front of a Parquet file's footer, where readers do not look."""
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        place = _footer(data)
        footer = data[place:]
        checksum = _digest_of_parquet(memoryview(data)[:place], footer, home)
        file.seek(place)
        file.write(_TAG + checksum + footer)


def check_parquet(data: bytes, home: str = "") -> None:
    """Check a Parquet file's bytes.

    Raises:
        DamagedFileError: they are damaged, or of another home.
    """
    place = _footer(data)
    start = place - _SIZE
    if start < 0 or data[start : start + len(_TAG)] != _TAG:
        return
    view = memoryview(data)
    if data[place - 8 : place] != _digest_of_parquet(view[:start], view[place:], home):
        raise DamagedFileError


def _footer(data: Any) -> int:
    """Return where the footer begins: its length stands before the last four bytes."""
    return len(data) - 8 - int.from_bytes(data[-8:-4], "little")


def _digest_of_parquet(body: Any, footer: Any, home: str) -> bytes:
    return bytes.fromhex(digest(home.encode(), body, footer))


# --- blocks ---


def block_sums(data: Any) -> list[int]:
    """Return the checksum of each block of some bytes."""
    view = memoryview(data)
    return [xxhash.xxh3_64_intdigest(view[at : at + BLOCK]) for at in range(0, len(view), BLOCK)]


def sums_of_folder(folder: Path) -> dict[str, dict[str, Any]]:
    """Return size and block checksums of each file in a folder, by its path there."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): _sums_of_file(path) for path in paths}


def _sums_of_file(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        size = path.stat().st_size
        if not size:  # an empty file cannot be mapped
            return {"size": 0, KEY: ""}
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return {"size": size, KEY: "".join(f"{each:016x}" for each in block_sums(data))}
