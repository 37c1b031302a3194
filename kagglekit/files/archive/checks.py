"""Safety checks and errors that all archive formats share.

An archive comes from a server, so nothing in it is trusted. Names, kinds and sizes of all members are
checked before a byte is decompressed; sizes and CRCs are checked again during decompression.
"""

import lzma
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

from kagglekit.errors import ArchiveError
from kagglekit.files.archive.parts import size_of

# A spoken clip takes 32 kB, a minute of noise 2 MB; the full 2018 challenge unpacks to 7.5 GB.
MAX_MEMBER_BYTES = 64 * 2**20  # in memory at once
MAX_TOTAL_BYTES = 2**39  # read member by member; the largest bundles of Kaggle have some 100 GB
# Speech compresses to a half or a third. All-zero clips compress a thousandfold; a few of them are fine.
MAX_RATIO = 200
MIN_BOMB_BYTES = 64 * 2**20

COPY_BYTES = 2**20

# What the zipfile and lzma parsers raise on damaged bytes; so does py7zr, besides its own errors.
DAMAGE = (
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

ICON = "Icon\r"  # an empty file that macOS leaves in folders

R = TypeVar("R")
MOST_SAID = 300  # characters of what is said of a damaged archive


class Member(NamedTuple):
    """A regular file in an archive."""

    name: str
    size: int
    """Bytes, uncompressed."""


class Sink(Protocol):
    """Receives one member's bytes. `close` is called only when all have arrived and the CRC matches."""

    def write(self, data: bytes, /) -> object: ...
    def close(self) -> object: ...


SinkFor = Callable[[Member], Sink]


class DamagedError(ArchiveError):
    """The archive's bytes are damaged; another download may bring the right ones."""


class UnsupportedError(ArchiveError):
    """The archive is whole, and of a kind that is not read here: another download would not help."""


class HeaderEntry(NamedTuple):
    """What the archive's header says about one of its members."""

    name: str
    size: int
    kind: int
    """stat.S_IFMT bits; 0 where the header gives none, which means a regular file."""


class Archive(NamedTuple):
    """An open archive whose members are safe."""

    members: list[Member]
    """The regular files, in stored order."""
    extract: Callable[[set[str], SinkFor], None]
    """Decompress the named members into their sinks."""


def unsafe(path: Path, what: str) -> ArchiveError:
    """Build the error for an archive that must not be used."""
    return ArchiveError(f"{path.name} {what}", hint="do not use this archive; get it from its source again")


def damaged(path: Path, what: str) -> DamagedError:
    """Build the error for an archive that another download may bring undamaged.

    Libraries quote bytes of the archive in their reasons, thousands of them where a length is damaged.
    """
    what = what if len(what) <= MOST_SAID else f"{what[:MOST_SAID]} …"
    return DamagedError(f"{path.name}: {what}", hint="fetch it again: kagglekit fetch --force")


def raise_of_disk(error: Exception) -> None:
    """Raise an error of the disk: bz2 and gzip raise OSError for damaged bytes, too, but without a number."""
    if isinstance(error, OSError) and error.errno is not None:
        raise error


def unsupported(path: Path, what: str, remedy: str = "") -> UnsupportedError:
    """Build the error for a whole archive that cannot be read here."""
    folder = path.name.partition(".")[0]
    remedy = remedy or f"unpack it with 7-Zip into FOLDER/{folder}, and set data.mounted to FOLDER"
    return UnsupportedError(f"{path.name} {what}", hint=remedy)


def encrypted(path: Path) -> UnsupportedError:
    folder = path.name.partition(".")[0]
    remedy = f"unpack it with its password (7-Zip) into FOLDER/{folder}, and set data.mounted to FOLDER"
    return unsupported(path, "is encrypted", remedy)


def checked_members(path: Path, entries: Iterable[HeaderEntry]) -> list[Member]:
    """Return the regular files among `entries`.

    Raises:
        ArchiveError: an entry is a link or a device, leads out of the folder, or stands twice; or all of
            them are too large together.
    """
    files: list[Member] = []
    seen: set[str] = set()
    for entry in entries:
        name = plain_name(entry.name)
        if entry.kind == stat.S_IFDIR or (name.endswith("/") and not entry.size):  # also as train\
            if name.rstrip("/") not in ("", "."):
                _check_name(path, name.rstrip("/"))
            continue
        if name.rpartition("/")[2] == ICON and entry.size == 0:
            continue
        _check_name(path, name)
        if entry.kind not in (0, stat.S_IFREG):
            raise unsafe(path, f"contains a link or device: {name!r}")
        same = unicodedata.normalize("NFC", name)  # patterns and ids are compared in this form
        if same in seen:
            raise unsafe(path, f"contains {name!r} twice")
        seen.add(same)
        files.append(Member(name, entry.size))
    check_total(path, sum(m.size for m in files))
    return files


def plain_name(name: str) -> str:
    """Return a member's name with slashes, where old Windows tools pack backslashes, and no leading ./"""
    name = name.replace("\\", "/")
    while name.startswith("./"):
        name = name[2:]
    return name


def _check_name(path: Path, name: str) -> None:
    parts = name.split("/")
    if (
        any(part in ("", ".", "..") for part in parts)
        or name[1:2] == ":"
        or any(unicodedata.category(c) in ("Cc", "Cs") for c in name)
    ):
        raise unsafe(path, f"contains an unsafe path: {name!r}")


def check_total(path: Path, total: int) -> None:
    """Check that an archive of `total` bytes, uncompressed, is no decompression bomb.

    Raises:
        ArchiveError: it is too large, or its members are compressed more than audio can be.
    """
    packed = size_of(path)
    if total > MAX_TOTAL_BYTES:
        raise unsafe(path, f"would unpack to {total:,} bytes, more than {MAX_TOTAL_BYTES:,}")
    if total > MIN_BOMB_BYTES and total > MAX_RATIO * packed:
        raise unsafe(path, f"is a decompression bomb: {packed:,} bytes would unpack to {total:,}")


class SinkError(Exception):
    """Carries an error of a sink through the parser, so that it is not taken for damage."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


class GuardedSink:
    """Counts a member's bytes and wraps the sink's errors in SinkError. It is never read from."""

    def __init__(self, path: Path, member: Member, sink_for: SinkFor) -> None:
        self.path = path
        self.member = member
        self.count = 0
        self.sink = _wrapping_errors(sink_for, member)

    def write(self, s: bytes | bytearray) -> int:
        self.count += len(s)
        if self.count > self.member.size:
            raise SinkError(
                unsafe(self.path, f"unpacks to more bytes than its header says: {self.member.name!r}")
            )
        _wrapping_errors(self.sink.write, s)
        return len(s)

    def close(self) -> None:
        if self.count != self.member.size:
            raise EOFError(f"{self.count} of {self.member.size} bytes")
        _wrapping_errors(self.sink.close)

    def size(self) -> int:
        return self.count

    def read(self, size: int | None = None) -> bytes:
        return b""

    def seek(self, offset: int, whence: int = 0) -> int:
        return 0

    def flush(self) -> None:
        pass


def _wrapping_errors(function: Callable[..., R], *args: object) -> R:
    try:
        return function(*args)
    except Exception as error:
        raise SinkError(error) from error
