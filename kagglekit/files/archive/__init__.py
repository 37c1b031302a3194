"""Zip, 7z and tar archives, and recordings in Parquet tables: checked, and streamed without unpacking."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from kagglekit.errors import ArchiveError
from kagglekit.files.archive.checks import (
    MAX_MEMBER_BYTES,
    Archive,
    DamagedError,
    Member,
    SinkError,
    UnsupportedError,
    damaged,
    unsupported,
)
from kagglekit.files.archive.parquet import MAGIC as MAGIC_PARQUET
from kagglekit.files.archive.parquet import open_parquet
from kagglekit.files.archive.parts import FIRST, open_whole
from kagglekit.files.archive.tar import is_tar, open_tar
from kagglekit.files.archive.zip import check_alone, open_zip
from kagglekit.terminal import progress

__all__ = [
    "ARCHIVE_SUFFIXES",
    "MAX_MEMBER_BYTES",
    "DamagedError",
    "Member",
    "UnsupportedError",
    "copy_member",
    "listing",
    "members",
    "stream",
    "verify",
]

NOT_READ = (
    *(".rar", ".iso", ".cab", ".arj", ".lzh", ".wim", ".dmg", ".tar.lz4", ".tar.lz", ".tar.z", ".tar.lzma"),
)
"""Endings of archives that are fetched and then refused by their kind."""
ARCHIVE_SUFFIXES = (
    *(".zip", ".7z", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tbz", ".tar.xz", ".txz"),
    *(".tar.zst", ".tzst", *FIRST, *NOT_READ),
)
MAGIC_7Z = b"7z\xbc\xaf\x27\x1c"
KINDS = {
    b"Rar!\x1a\x07": "a RAR archive",
    b"MSCF": "a cabinet of Windows (.cab)",
    b"MSWIM\x00": "a WIM image",
    b"\x04\x22\x4d\x18": "packed with LZ4",
    b"LZIP": "packed with lzip",
    b"\x1f\x9d": "packed with compress (.Z)",
    b"\x60\xea": "an ARJ archive",
    b"]\x00\x00": "packed with LZMA alone (.lzma)",
}
"""First bytes of archives that are not read."""


@contextmanager
def _open(path: Path) -> Iterator[Archive]:
    """Open an archive by its first bytes, not by its name, after all safety checks."""
    with open_whole(path) as file:
        start = file.read(512)
    magic = start[:6]
    if magic == MAGIC_7Z:
        try:
            from kagglekit.files.archive.sevenzip import open_7z
        except ImportError as error:  # in a notebook of the host
            raise unsupported(path, f"is a 7z archive, and there is no {error.name} here") from error
        opener = open_7z
    elif magic[:4] in (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08"):
        opener = open_zip
    elif magic[:4] == MAGIC_PARQUET:
        opener = open_parquet
    elif is_tar(start):
        opener = open_tar
    else:
        raise _other(path, start)
    try:
        with opener(path) as archive:
            yield archive
    except SinkError as error:
        raise error.error from error.error.__cause__


def _other(path: Path, start: bytes) -> ArchiveError:
    """Build the error for a file that is no archive that can be read: by what it is, or damaged."""
    if path.name.lower().endswith(".zip"):
        check_alone(path)
    kind = next((kind for magic, kind in KINDS.items() if start.startswith(magic)), None)
    if kind is None and start and not start.strip(b"\x00"):  # an ISO image begins with zeros
        with path.open("rb") as file:
            file.seek(0x8001)
            kind = "an ISO image" if file.read(5) == b"CD001" else None
    if kind is not None:
        return unsupported(path, f"is {kind}, which kagglekit does not read")
    what = f"not a zip, 7z or tar archive (it starts with {start[:6]!r})" if start else "it is empty"
    return damaged(path, what)


def members(path: Path) -> list[Member]:
    """List the regular files in an archive, in stored order, after all safety checks.

    Raises:
        ArchiveError: not an archive, damaged, encrypted, unsafe, or a decompression bomb.
    """
    with _open(path) as archive:
        return archive.members


def stream(
    path: Path,
    take: Callable[[Member, bytes], None],
    choose: Callable[[list[Member]], Collection[str]] | None = None,
    limit: int | None = None,
) -> None:
    """Decompress an archive once, and pass the chosen members on in stored order (7z: empty ones first).

    Args:
        path: an archive.
        take: called with each member and its bytes, whose CRC has been verified.
        choose: called once with all members; returns the names of the chosen ones. By default all.
        limit: most bytes of a member; MAX_MEMBER_BYTES by default.

    Raises:
        ArchiveError: as `members`; or a member has a wrong CRC or does not fit in memory.
    """
    limit = MAX_MEMBER_BYTES if limit is None else limit
    with _open(path) as archive:
        names = None if choose is None else set(choose(archive.members))
        chosen = [m for m in archive.members if names is None or m.name in names]
        for member in chosen:
            if member.size > limit:
                raise ArchiveError(
                    f"{path.name}: member {member.name!r} has {member.size:,} bytes, "
                    f"more than the limit of {limit:,} bytes in memory",
                    hint="a clip is seconds long; check the patterns under data: in competition.yaml",
                )
        archive.extract({m.name for m in chosen}, lambda member: _Memory(member, take))


@lru_cache(maxsize=4)
def _listing(path: Path, size: int, mtime_ns: int) -> tuple[Member, ...]:
    return tuple(members(path))


def listing(path: Path) -> tuple[Member, ...]:
    """Return `members`, read again only where the archive's size or time has changed."""
    status = path.stat()
    return _listing(path, status.st_size, status.st_mtime_ns)


def copy_member(path: Path, name: str, target: Path) -> None:
    """Extract one member to a file.

    Raises:
        ArchiveError: as `stream`.
    """
    with _open(path) as archive, progress.bar(f"unpack {Path(name).name}", None, "B") as advance:
        archive.extract({name}, lambda _: _File(target, advance))


def copy_all(path: Path, folder: Path) -> None:
    """Extract all members below a folder, under their own names, which the safety checks have seen.

    Raises:
        ArchiveError: as `stream`.
    """
    with _open(path) as archive:
        total = sum(member.size for member in archive.members)
        with progress.bar(f"unpack {path.name}", total, "B") as advance:

            def place(member: Member) -> _File:
                target = folder / member.name
                target.parent.mkdir(parents=True, exist_ok=True)
                return _File(target, advance)

            archive.extract({member.name for member in archive.members}, place)


def verify(path: Path) -> None:
    """Decompress everything to test every CRC, and keep nothing.

    Raises:
        DamagedError: not an archive, truncated, or a member has a wrong CRC.
        ArchiveError: as `members`.
    """
    with _open(path) as archive:
        size = sum(member.size for member in archive.members)
        with progress.bar(f"test {path.name}", size, "B") as advance:
            archive.extract({member.name for member in archive.members}, lambda _: _Counter(advance))


class _Memory:
    """Collects the bytes of a member and passes them on."""

    def __init__(self, member: Member, take: Callable[[Member, bytes], None]) -> None:
        self.member = member
        self.take = take
        self.parts: list[bytes] = []

    def write(self, data: bytes, /) -> None:
        self.parts.append(bytes(data))

    def close(self) -> None:
        content = b"".join(self.parts)
        self.parts.clear()  # py7zr keeps every sink until the archive is closed
        self.take(self.member, content)


class _Counter:
    """Counts a member's bytes."""

    def __init__(self, advance: Callable[[int], None]) -> None:
        self.advance = advance

    def write(self, data: bytes, /) -> None:
        self.advance(len(data))

    def close(self) -> None:
        pass


class _File:
    """Writes a member to a file."""

    def __init__(self, path: Path, advance: Callable[[int], None] = lambda _: None) -> None:
        self.file = path.open("wb")
        self.advance = advance

    def write(self, data: bytes, /) -> None:
        self.file.write(data)
        self.advance(len(data))

    def close(self) -> None:
        self.file.close()

    def __del__(self) -> None:  # a damaged member is never closed
        self.file.close()
