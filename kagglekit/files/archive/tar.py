"""Tar files, plain or compressed by gzip, bzip2, xz or zstd, read by tarfile from front to back.

A tar has no table of contents: listing one reads it to its end, which also proves the checksum of a
compressed one. The list is kept, so that listing and extracting read the file twice in all.
"""

import bz2
import gzip
import io
import lzma
import stat
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import IO, Any

from kagglekit.files.archive import checks
from kagglekit.files.archive.checks import Archive, HeaderEntry, Member, SinkFor
from kagglekit.files.archive.methods import decoder_errors, zstd
from kagglekit.files.archive.parts import open_whole

DAMAGE: tuple[type[Exception], ...] = (*checks.DAMAGE, *decoder_errors(), tarfile.TarError, OSError)
_COMPRESSED = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
    b"\x28\xb5\x2f\xfd": lambda *args: zstd().open(*args),
}
_MAX_PADDING = 64 * 2**20
"""Most bytes behind the end mark; tar pads to 10 kB."""


class _Bounded(io.BufferedIOBase):
    """Limit each read of a tar: a header may claim a name or a comment of gigabytes."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or not 0 <= size <= 4 * checks.COPY_BYTES:
            raise ValueError(f"a header of {size} bytes")
        return self.file.read(size)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self.file.seek(offset, whence)

    def tell(self) -> int:
        return self.file.tell()


def is_tar(start: bytes) -> bool:
    """Tell whether the first 512 bytes of a file are those of a tar, or of something compressed."""
    if any(start.startswith(magic) for magic in _COMPRESSED):
        return True
    try:
        tarfile.TarInfo.frombuf(start, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


@contextmanager
def open_tar(path: Path) -> Iterator[Archive]:
    """Open a tar file after all safety checks."""
    status = path.stat()
    files = list(_listed(path, status.st_size, status.st_mtime_ns))
    yield Archive(files, partial(_extract, path, {member.name: member for member in files}))


@contextmanager
def _reader(path: Path) -> Iterator[Any]:  # of a TarFile; its stub lacks `members`
    with open_whole(path) as raw:
        start = raw.read(6)
        raw.seek(0)
        opener: Any = next((o for magic, o in _COMPRESSED.items() if start.startswith(magic)), None)
        file = _Bounded(opener(raw) if opener else raw)
        with tarfile.open(fileobj=file, mode="r:", errors="surrogateescape") as archive:
            yield archive


@lru_cache(maxsize=8)
def _listed(path: Path, size: int, mtime_ns: int) -> tuple[Member, ...]:
    """Read a tar to its end and return its regular files."""
    last, unpacked = "", 0
    entries: list[HeaderEntry] = []
    try:
        with _reader(path) as archive:
            for info in archive:
                if info.size < 0:
                    raise ValueError(f"{info.name!r} has {info.size} bytes")
                last, unpacked = info.name, unpacked + info.size
                checks.check_total(path, unpacked)  # before its bytes are skipped
                entries.append(HeaderEntry(info.name, info.size, _kind(info)))
                archive.members = []  # tarfile keeps all that it has seen
            _check_end(path, archive, last)
    except DAMAGE as error:
        checks.raise_of_disk(error)
        where = f" in or after {last!r}" if last else ""
        raise checks.damaged(path, f"truncated or damaged{where} ({error})") from error
    return tuple(checks.checked_members(path, entries))


def _kind(info: tarfile.TarInfo) -> int:
    if info.isdir():
        return stat.S_IFDIR
    # A sparse file has holes: a small tar may claim terabytes of them. Hard links are links, too.
    return stat.S_IFREG if info.isreg() and not info.issparse() else stat.S_IFLNK


def _check_end(path: Path, archive: Any, last: str) -> None:
    """Check that the tar ends in its end mark; tarfile takes a damaged header for the end, too."""
    file = archive.fileobj
    file.seek(archive.offset)
    block = file.read(tarfile.BLOCKSIZE)
    if block != bytes(tarfile.BLOCKSIZE):
        raise EOFError(f"no end mark after {last!r}")
    padding = 0
    while data := file.read(checks.COPY_BYTES):  # a compressed file is checked at its end
        padding += len(data)
        if padding > _MAX_PADDING:
            raise checks.unsafe(path, f"has more than {_MAX_PADDING:,} bytes behind its end mark")


def _extract(path: Path, files: dict[str, Member], wanted: set[str], sink_for: SinkFor) -> None:
    last, left = "", set(wanted)
    try:
        with _reader(path) as archive:
            for info in archive:
                last = checks.plain_name(info.name)
                if last in left and info.isreg():
                    left.remove(last)
                    file = archive.extractfile(info)
                    sink = checks.GuardedSink(path, files[last], sink_for)
                    while data := file.read(checks.COPY_BYTES):
                        sink.write(data)
                    sink.close()
                archive.members = []
                if not left:
                    return
    except DAMAGE as error:
        checks.raise_of_disk(error)
        raise checks.damaged(path, f"member {last!r} is damaged ({error or 'too short'})") from error
    if left:
        raise checks.damaged(path, f"member {min(left)!r} is no longer there")
