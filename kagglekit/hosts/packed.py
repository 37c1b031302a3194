"""Unpack what storage sends packed although it is not called so, such as train.csv as a zip file.

Kaggle keeps large CSVs zipped, and Google's storage sends what was stored as gzip as it is, whatever was
asked for. The size that Kaggle lists is then that of the file, not that of the bytes that come.
"""

import gzip
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Literal, Protocol

from kagglekit.files.archive import ARCHIVE_SUFFIXES
from kagglekit.files.atomic import replacing
from kagglekit.hosts.base import check_space
from kagglekit.hosts.replies import DamagedDownloadError

CHUNK_BYTES = 2**20
PACKED_NAMES = (*ARCHIVE_SUFFIXES, ".gz", ".parquet", ".xlsx", ".npz")
"""Files that begin like a zip or gzip file and are to stay as they are."""

Packing = Literal["zip", "gzip"]


class Readable(Protocol):
    """A stream of bytes."""

    def read(self, size: int, /) -> bytes: ...


def packing(path: Path, name: str, size: int | None, *, coded: bool) -> Packing | None:
    """Tell how a downloaded file is packed; None for one that is not.

    Args:
        name: the host's name of the file.
        size: in bytes, as the host lists it; None where it does not.
        coded: storage sent it with "Content-Encoding: gzip", which it also does with what is called .gz.
    """
    as_it_is = name.lower().endswith(PACKED_NAMES) and size in (None, path.stat().st_size)
    with path.open("rb") as file:
        start = file.read(4)
    if start[:2] == b"\x1f\x8b" and not as_it_is and (coded or not name.lower().endswith(PACKED_NAMES)):
        return "gzip"
    if start == b"PK\x03\x04" and not name.lower().endswith(PACKED_NAMES) and _only_member(path, name):
        return "zip"
    return None


def unpack(path: Path, target: Path, name: str, size: int | None, how: Packing) -> None:
    """Write a packed file's content to `target`.

    Args:
        size: of the content, in bytes, as the host lists it; or that of the packed file; None where unknown.

    Raises:
        DamagedDownloadError: it cannot be unpacked, or its content has another size.
        HostError: the disk is too small.
    """
    limit = None if size in (None, path.stat().st_size) else size
    try:
        with replacing(target) as part:
            if how == "gzip":
                with gzip.open(path, "rb") as source:
                    _copy(source, part, name, limit)
            else:
                with zipfile.ZipFile(path) as archive:
                    member = _only_member(path, name)
                    assert member is not None
                    with archive.open(member) as source:
                        _copy(source, part, name, limit)
    except (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile, RuntimeError) as error:
        raise DamagedDownloadError(f"{name} came packed ({how}) and is damaged ({error})") from error


def _copy(source: Readable, target: Path, name: str, size: int | None) -> None:
    """Copy at most `size` bytes, or what the disk has room for."""
    written = 0
    with target.open("wb") as file:
        while chunk := source.read(CHUNK_BYTES):
            written += len(chunk)
            if size is not None and written > size:
                break
            if size is None:
                check_space(target.parent, len(chunk), name)
            file.write(chunk)
    if size is not None and written != size:
        more = "more than " * (written > size)
        raise DamagedDownloadError(
            f"{name}, unpacked, has {more}{min(written, size):,} bytes, but Kaggle lists {size:,}"
        )


def _only_member(path: Path, name: str) -> str | None:
    """Return the only file in a zip file, if it is called as the file that was to come."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = [info.filename for info in archive.infolist() if not info.is_dir()]
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError):
        return None
    same = len(members) == 1 and PurePosixPath(members[0]).name == PurePosixPath(name).name
    return members[0] if same else None
