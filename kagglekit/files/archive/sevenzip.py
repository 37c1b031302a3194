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
from py7zr.compressor import SupportedMethods
from py7zr.exceptions import ArchiveError as SevenZipError
from py7zr.exceptions import CrcError, PasswordRequired
from py7zr.io import Py7zIO, WriterFactory
from py7zr.py7zr import ArchiveFile

from kagglekit.files.archive import checks, program
from kagglekit.files.archive.checks import Archive, Member, SinkFor
from kagglekit.files.archive.parts import Joined, open_whole, parts, size_of

# py7zr reads its input too early: each call for a member's next bytes reads 1 MB more into the decoder,
# until the whole archive is in memory. Short reads keep its buffer almost empty.
_READ_BYTES = 4096

_DAMAGE = (SevenZipError, *checks.DAMAGE)

METHODS = {
    "0a": "the filter ARM64",
    "0b": "the filter RISCV",
    "020302": "Swap2",
    "020304": "Swap4",
    "0303011b": "the filter BCJ2",
    "04f71104": "LZ4",
    "04f71105": "LZS",
    "04f71106": "Lizard",
}
"""Methods that py7zr lacks (DOC/Methods.txt of 7-Zip), by their ids."""


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
    raw = Joined(parts(path)) if len(parts(path)) > 1 else io.FileIO(path)
    with _ShortReads(raw, buffer_size=checks.COPY_BYTES) as file:
        try:
            # With an open file instead of a path, py7zr works in this thread, and its errors arrive here.
            archive = py7zr.SevenZipFile(file)
            entries = [_entry(f) for f in archive.files]
        except PasswordRequired as error:
            raise checks.encrypted(path) from error
        except _DAMAGE as error:
            raise checks.damaged(path, f"its table of contents is damaged ({error})") from error
        with archive:
            if archive.needs_password():
                raise checks.encrypted(path)
            _check_methods(path, archive)
            files = checks.checked_members(path, entries)
            file.limit = _READ_BYTES
            yield Archive(files, partial(_extract, path, archive, files))


def _check_length(path: Path) -> None:
    """Check that the file is as long as its start header says: 32 + offset + size of the end header."""
    size = size_of(path)
    with open_whole(path) as file:
        start = file.read(32)
    if len(start) < 32:
        raise checks.damaged(path, f"truncated after {size} bytes")
    crc, offset, length = struct.unpack("<IQQ", start[8:28])
    end = 32 + offset + length
    if zlib.crc32(start[12:32]) != crc:
        raise checks.damaged(path, "its start is damaged (CRC)")
    if size < end:
        raise checks.damaged(path, f"truncated: {size:,} of {end:,} bytes")


def _unknown_methods(archive: py7zr.SevenZipFile) -> list[str]:
    """Return the names of the compression methods and filters that py7zr does not know."""
    streams = archive.header.main_streams
    coders = [coder for folder in (streams.unpackinfo.folders if streams else ()) for coder in folder.coders]
    known = {method["id"] for method in SupportedMethods.methods}
    ids = dict.fromkeys(coder["method"] for coder in coders if coder["method"] not in known)
    return [METHODS.get(one.hex(), f"method {one.hex()}") for one in ids]


def _check_methods(path: Path, archive: py7zr.SevenZipFile) -> None:
    """Refuse methods that only 7-Zip reads, where it is not installed.

    Raises:
        UnsupportedError: there are such.
    """
    unknown = _unknown_methods(archive)
    if unknown and (len(parts(path)) > 1 or program.find() is None):
        raise _needs_program(path, unknown)


def _needs_program(path: Path, unknown: list[str]) -> checks.UnsupportedError:
    return checks.unsupported(
        path,
        f"is packed with {', '.join(unknown)}, which needs the program 7-Zip, of this year or last",
        "install 7-Zip (7zz), or pack the files again, as zip or with LZMA2 alone",
    )


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
    unknown, count = _unknown_methods(archive), len(wanted)
    most = 2 * sum(members[name].size for name in wanted) > sum(m.size for m in files)
    if (most or unknown) and len(parts(path)) == 1:
        stored = [file for file in archive.files if file.filename in factory.files]
        wanted = wanted - program.extract(path, stored, wanted, factory.create)
    if not wanted:
        return
    if unknown and len(wanted) == count:
        raise _needs_program(path, unknown)
    if unknown:
        raise checks.damaged(path, f"member {factory.last!r} is damaged (CRC)")
    try:
        archive.extract(targets=wanted, factory=factory)
    except CrcError as error:
        raise checks.damaged(path, f"member {error.filename or factory.last!r} is damaged (CRC)") from error
    except _DAMAGE as error:
        place = f"in or after member {factory.last!r}" if factory.last else "before the first member"
        raise checks.damaged(path, f"damaged {place} ({error or type(error).__name__})") from error


class _Sink(checks.GuardedSink, Py7zIO):
    """A sink as py7zr takes it."""


class _Factory(WriterFactory):
    """Gives py7zr a sink for each member. It closes the sink only when the CRC matches."""

    def __init__(self, path: Path, files: dict[str, Member], sink_for: SinkFor) -> None:
        self.path = path
        self.files = files
        self.sink_for = sink_for
        self.last: str | None = None

    def create(self, filename: str) -> Py7zIO:
        self.last = filename
        return _Sink(self.path, self.files[filename], self.sink_for)
