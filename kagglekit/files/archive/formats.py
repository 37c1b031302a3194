"""The two archive formats, and what is refused in them.

An archive comes from a server, so nothing in it is trusted. Names, kinds and sizes are checked
for every member before a byte is decompressed; sizes and CRCs again while decompressing.
"""

from __future__ import annotations

import io
import lzma
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

import py7zr
from py7zr.exceptions import ArchiveError as SevenZipError
from py7zr.exceptions import CrcError, PasswordRequired
from py7zr.io import Py7zIO, WriterFactory
from py7zr.properties import MAGIC_7Z
from py7zr.py7zr import ArchiveFile

from kagglekit.errors import ArchiveError
from kagglekit.files.archive import sevenzip as archive_7zip

# A spoken clip takes 32 kB, a minute of noise 2 MB; the full 2018 challenge unpacks to 7.5 GB.
MAX_MEMBER_BYTES = 64 * 2**20  # held in memory at once
MAX_TOTAL_BYTES = 64 * 2**30
# Speech shrinks to a half or a third. All-zero clips shrink a thousandfold, which a few of are fine.
MAX_RATIO = 200
MIN_BOMB_BYTES = 64 * 2**20


# py7zr stops being lazy with its input: each call for a member's next bytes reads 1 MB more into the
# decoder, until the whole archive is in memory. Short reads keep its buffer near empty.
_READ_BYTES = 4096
_COPY_BYTES = 2**20

# What the zipfile, lzma and py7zr parsers raise on bytes that are not what they should be.
_DAMAGE = (
    SevenZipError,
    zipfile.BadZipFile,
    lzma.LZMAError,
    zlib.error,
    struct.error,
    EOFError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    NotImplementedError,
)


R = TypeVar("R")


class Member(NamedTuple):
    """A regular file in an archive."""

    name: str
    size: int
    """Bytes, uncompressed."""


class Sink(Protocol):
    """Takes one member's bytes. `close` is called only when all have come and the CRC fits."""

    def write(self, data: bytes, /) -> object: ...
    def close(self) -> object: ...


SinkFor = Callable[[Member], Sink]


class DamagedError(ArchiveError):
    """Bytes that are not those that were packed: another download may bring the right ones."""


class _Entry(NamedTuple):
    """What a header says of one thing in the archive."""

    name: str
    size: int
    kind: int
    """stat.S_IFMT bits; 0 where the archive does not say, which means a regular file."""


class Archive(NamedTuple):
    """An open archive: what is in it, and a way to get it out."""

    members: list[Member]
    pump: Callable[[set[str], SinkFor], None]


def unsafe(path: Path, what: str) -> ArchiveError:
    return ArchiveError(f"{path.name} {what}", hint="do not use this archive; get it from its source again")


def _damaged(path: Path, what: str) -> DamagedError:
    return DamagedError(f"{path.name}: {what}", hint="fetch it again: kagglekit fetch --force")


def _encrypted(path: Path) -> ArchiveError:
    return ArchiveError(f"{path.name} is encrypted", hint="unpack it with its password first")


def _check(path: Path, entries: Iterable[_Entry]) -> list[Member]:
    """The regular files among `entries`, once all of them are safe."""
    files: list[Member] = []
    seen: set[str] = set()
    for entry in entries:
        if entry.kind == stat.S_IFDIR:
            _check_name(path, entry.name.rstrip("/"))
            continue
        _check_name(path, entry.name)
        if entry.kind not in (0, stat.S_IFREG):
            raise unsafe(path, f"contains a link or device: {entry.name!r}")
        # File systems that fold case or Unicode would let the second of two overwrite the first.
        folded = unicodedata.normalize("NFC", entry.name).casefold()
        if folded in seen:
            raise unsafe(path, f"contains {entry.name!r} twice")
        seen.add(folded)
        files.append(Member(entry.name, entry.size))
    _check_sizes(path, files)
    return files


def _check_name(path: Path, name: str) -> None:
    parts = name.split("/")
    if (
        any(part in ("", ".", "..") for part in parts)
        or "\\" in name
        or name[1:2] == ":"
        or any(unicodedata.category(c) in ("Cc", "Cs") for c in name)
    ):
        raise unsafe(path, f"contains an unsafe path: {name!r}")


def _check_sizes(path: Path, files: list[Member]) -> None:
    total, packed = sum(m.size for m in files), path.stat().st_size
    if total > MAX_TOTAL_BYTES:
        raise unsafe(path, f"would unpack to {total:,} bytes, more than {MAX_TOTAL_BYTES:,}")
    if total > MIN_BOMB_BYTES and total > MAX_RATIO * packed:
        raise unsafe(path, f"is a bomb: {packed:,} bytes would unpack to {total:,}")


class _TakerError(Exception):
    """Carries what the sink raised past the parsers, so that it is not taken for damage."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


class _Guarded(Py7zIO):
    """A sink that counts, and whose errors are told from the parser's. Nothing is ever read back."""

    def __init__(self, path: Path, member: Member, sink_for: SinkFor) -> None:
        self.path = path
        self.member = member
        self.count = 0
        self.sink = _carrying(sink_for, member)

    def write(self, s: bytes | bytearray) -> int:
        self.count += len(s)
        if self.count > self.member.size:
            raise _TakerError(unsafe(self.path, f"unpacks to more than it says: {self.member.name!r}"))
        _carrying(self.sink.write, s)
        return len(s)

    def close(self) -> None:
        if self.count != self.member.size:
            raise EOFError(f"{self.count} of {self.member.size} bytes")
        _carrying(self.sink.close)

    def size(self) -> int:
        return self.count

    def read(self, size: int | None = None) -> bytes:
        return b""

    def seek(self, offset: int, whence: int = 0) -> int:
        return 0

    def flush(self) -> None:
        pass


def _carrying(function: Callable[..., R], *args: object) -> R:
    try:
        return function(*args)
    except Exception as error:
        raise _TakerError(error) from error


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """Open by magic number, not by name. Nothing unsafe gets past here."""
    with path.open("rb") as file:
        magic = file.read(6)
    if magic == MAGIC_7Z:
        opener = _open_7z
    elif magic[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        opener = _open_zip
    else:
        what = f"not a zip or 7z archive (it starts with {magic!r})" if magic else "it is empty"
        raise _damaged(path, what)
    try:
        with opener(path) as archive:
            yield archive
    except _TakerError as error:
        raise error.error from error.error.__cause__


@contextmanager
def _open_zip(path: Path) -> Iterator[Archive]:
    try:
        archive = zipfile.ZipFile(path)
    except _DAMAGE as error:
        raise _damaged(path, f"truncated or damaged ({error})") from error
    with archive:
        infos = archive.infolist()
        if any(info.flag_bits & 0x1 for info in infos):
            raise _encrypted(path)
        files = _check(path, map(_zip_entry, infos))
        yield Archive(files, partial(_pump_zip, path, archive, files))


def _zip_entry(info: zipfile.ZipInfo) -> _Entry:
    kind = stat.S_IFDIR if info.is_dir() else stat.S_IFMT(info.external_attr >> 16)
    # orig_filename: zipfile cuts names at a NUL, so that "a.wav\0../b" would pass for "a.wav".
    return _Entry(info.orig_filename, info.file_size, kind)


def _pump_zip(
    path: Path, archive: zipfile.ZipFile, files: list[Member], wanted: set[str], sink_for: SinkFor
) -> None:
    for member in (m for m in files if m.name in wanted):
        try:
            with archive.open(member.name) as file:
                sink = _Guarded(path, member, sink_for)
                while data := file.read(_COPY_BYTES):  # the last read verifies the CRC
                    sink.write(data)
                sink.close()
        except _DAMAGE as error:
            raise _damaged(path, f"member {member.name!r} is damaged ({error or 'too short'})") from error


class _ShortReads(io.BufferedReader):
    """A file that gives at most `limit` bytes at a time, once that is set."""

    limit: int | None = None

    def read(self, size: int | None = -1, /) -> bytes:
        if self.limit is not None:
            size = self.limit if size is None or size < 0 else min(size, self.limit)
        return super().read(size)


@contextmanager
def _open_7z(path: Path) -> Iterator[Archive]:
    _check_7z_whole(path)
    with _ShortReads(io.FileIO(path), buffer_size=_COPY_BYTES) as file:
        try:
            # An open file, not a path, makes py7zr work in this thread, so that errors arrive here.
            archive = py7zr.SevenZipFile(file)
            entries = [_7z_entry(f) for f in archive.files]
        except PasswordRequired as error:
            raise _encrypted(path) from error
        except _DAMAGE as error:
            raise _damaged(path, f"its table of contents is damaged ({error})") from error
        with archive:
            if archive.needs_password():
                raise _encrypted(path)
            files = _check(path, entries)
            file.limit = _READ_BYTES
            yield Archive(files, partial(_pump_7z, path, archive, files))


def _check_7z_whole(path: Path) -> None:
    """The start header says where the archive ends: at 32 + offset + size of the end header."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(32)
    if len(start) < 32:
        raise _damaged(path, f"truncated after {size} bytes")
    crc, offset, length = struct.unpack("<IQQ", start[8:28])
    end = 32 + offset + length
    if zlib.crc32(start[12:32]) != crc:
        raise _damaged(path, "its start is damaged (CRC)")
    if size < end:
        raise _damaged(path, f"truncated: {size:,} of {end:,} bytes")


def _7z_entry(file: ArchiveFile) -> _Entry:
    if file.is_symlink or file.is_junction:
        kind = stat.S_IFLNK
    else:
        kind = stat.S_IFDIR if file.is_directory else file.st_fmt or 0
    return _Entry(file.filename, file.uncompressed, kind)


def _pump_7z(
    path: Path, archive: py7zr.SevenZipFile, files: list[Member], wanted: set[str], sink_for: SinkFor
) -> None:
    factory = _Factory(path, {m.name: m for m in files}, sink_for)
    # Of a few files py7zr decodes the blocks that they are in, 7-Zip everything before them.
    if 2 * sum(m.size for m in files if m.name in wanted) > sum(m.size for m in files):
        stored = [file for file in archive.files if file.filename in factory.files]
        wanted = wanted - archive_7zip.pump(path, stored, wanted, factory.create)
    if not wanted:
        return
    try:
        archive.extract(targets=wanted, factory=factory)
    except CrcError as error:
        raise _damaged(path, f"member {error.filename or factory.last!r} is damaged (CRC)") from error
    except _DAMAGE as error:
        place = f"in or after member {factory.last!r}" if factory.last else "before the first member"
        raise _damaged(path, f"damaged {place} ({error or type(error).__name__})") from error


class _Factory(WriterFactory):
    """Gives py7zr something to write each member to; it closes that only after the CRC fits."""

    def __init__(self, path: Path, files: dict[str, Member], sink_for: SinkFor) -> None:
        self.path = path
        self.files = files
        self.sink_for = sink_for
        self.last: str | None = None

    def create(self, filename: str) -> Py7zIO:
        self.last = filename
        return _Guarded(self.path, self.files[filename], self.sink_for)
