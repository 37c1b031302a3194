"""7z files, read by py7zr and, where it is installed, decompressed by 7-Zip."""

import io
import stat
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import py7zr
from py7zr.exceptions import CrcError, PasswordRequired
from py7zr.io import Py7zIO, WriterFactory
from py7zr.py7zr import ArchiveFile

from kagglekit.files.archive import checks, program
from kagglekit.files.archive.checks import Archive, Member, SinkFor

# py7zr reads its input too early: each call for a member's next bytes reads 1 MB more into the decoder,
# until the whole archive is in memory. Short reads keep its buffer almost empty.
_READ_BYTES = 4096


class _ShortReads(io.BufferedReader):
    """A file of which one read returns at most `limit` bytes, once that is set."""

    limit: int | None = None

    def read(self, size: int | None = -1, /) -> bytes:
        if self.limit is not None:
            size = self.limit if size is None or size < 0 else min(size, self.limit)
        return super().read(size)


@contextmanager
def open_7z(path: Path) -> Iterator[Archive]:
    """Open a 7z file after all safety checks."""
    _check_length(path)
    with _ShortReads(io.FileIO(path), buffer_size=checks.COPY_BYTES) as file:
        try:
            # With an open file instead of a path, py7zr works in this thread, and its errors arrive here.
            archive = py7zr.SevenZipFile(file)
            entries = [_entry(f) for f in archive.files]
        except PasswordRequired as error:
            raise checks.encrypted(path) from error
        except checks.DAMAGE as error:
            raise checks.damaged(path, f"its table of contents is damaged ({error})") from error
        with archive:
            if archive.needs_password():
                raise checks.encrypted(path)
            files = checks.checked_members(path, entries)
            file.limit = _READ_BYTES
            yield Archive(files, partial(_extract, path, archive, files))


def _check_length(path: Path) -> None:
    """Check that the file is as long as its start header says: 32 + offset + size of the end header."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(32)
    if len(start) < 32:
        raise checks.damaged(path, f"truncated after {size} bytes")
    crc, offset, length = struct.unpack("<IQQ", start[8:28])
    end = 32 + offset + length
    if zlib.crc32(start[12:32]) != crc:
        raise checks.damaged(path, "its start is damaged (CRC)")
    if size < end:
        raise checks.damaged(path, f"truncated: {size:,} of {end:,} bytes")


def _entry(file: ArchiveFile) -> checks.HeaderEntry:
    if file.is_symlink or file.is_junction:
        kind = stat.S_IFLNK
    else:
        kind = stat.S_IFDIR if file.is_directory else file.st_fmt or 0
    return checks.HeaderEntry(file.filename, file.uncompressed, kind)


def _extract(
    path: Path, archive: py7zr.SevenZipFile, files: list[Member], wanted: set[str], sink_for: SinkFor
) -> None:
    name2member = {m.name: m for m in files}
    stored_names = {f.filename: checks.plain_name(f.filename) for f in archive.files if not f.is_directory}
    members = {name: name2member[plain] for name, plain in stored_names.items() if plain in name2member}
    factory = _Factory(path, name2member | members, sink_for)  # py7zr asks by the plain name
    wanted = {name for name, member in members.items() if member.name in wanted}
    # For a few members, py7zr decodes only their blocks, and 7-Zip everything before them.
    if 2 * sum(members[name].size for name in wanted) > sum(m.size for m in files):
        stored = [file for file in archive.files if file.filename in factory.files]
        wanted = wanted - program.extract(path, stored, wanted, factory.create)
    if not wanted:
        return
    try:
        archive.extract(targets=wanted, factory=factory)
    except CrcError as error:
        raise checks.damaged(path, f"member {error.filename or factory.last!r} is damaged (CRC)") from error
    except checks.DAMAGE as error:
        place = f"in or after member {factory.last!r}" if factory.last else "before the first member"
        raise checks.damaged(path, f"damaged {place} ({error or type(error).__name__})") from error


class _Factory(WriterFactory):
    """Gives py7zr a sink for each member. It closes the sink only when the CRC matches."""

    def __init__(self, path: Path, files: dict[str, Member], sink_for: SinkFor) -> None:
        self.path = path
        self.files = files
        self.sink_for = sink_for
        self.last: str | None = None

    def create(self, filename: str) -> Py7zIO:
        self.last = filename
        return checks.GuardedSink(self.path, self.files[filename], self.sink_for)
