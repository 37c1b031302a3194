"""Zip and 7z archives, streamed: nothing touches the disk unless asked. All of it is checked."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection
from pathlib import Path

from kagglekit.errors import ArchiveError
from kagglekit.files.archive.formats import MAX_MEMBER_BYTES, DamagedError, Member, open_archive, unsafe
from kagglekit.files.atomic import move_into_place
from kagglekit.terminal import progress

__all__ = ["DamagedError", "Member", "members", "stream", "unpack_nested", "verify"]

ARCHIVE_SUFFIXES = (".zip", ".7z")


def members(path: Path) -> list[Member]:
    """The regular files in an archive, in its order, after all safety checks.

    Raises:
        ArchiveError: not an archive, damaged, encrypted, unsafe, or a bomb.
    """
    with open_archive(path) as archive:
        return archive.members


def stream(
    path: Path,
    take: Callable[[Member, bytes], None],
    choose: Callable[[list[Member]], Collection[str]] | None = None,
) -> None:
    """Decompress once and hand over the chosen members, in stored order (7z: empty ones first).

    Args:
        path: a zip or 7z file.
        take: called with each member and its bytes, whose CRC has been verified.
        choose: called once with what `members` gives, says the names of those to hand over; by default all.

    Raises:
        ArchiveError: as `members`; or a member has a wrong CRC or does not fit in memory.
    """
    with open_archive(path) as archive:
        names = None if choose is None else set(choose(archive.members))
        chosen = [m for m in archive.members if names is None or m.name in names]
        for member in chosen:
            if member.size > MAX_MEMBER_BYTES:
                raise ArchiveError(
                    f"{path.name}: member {member.name!r} has {member.size:,} bytes, "
                    f"more than the {MAX_MEMBER_BYTES:,} that are held in memory",
                    hint="a clip is seconds long; check the patterns under data: in competition.yaml",
                )
        archive.pump({m.name for m in chosen}, lambda member: _Memory(member, take))


def verify(path: Path) -> None:
    """Decompress everything, which tests every CRC, and keep nothing.

    Raises:
        DamagedError: not an archive, truncated, or a member has a wrong CRC.
        ArchiveError: as `members`.
    """
    with open_archive(path) as archive:
        size = sum(member.size for member in archive.members)
        with progress.bar(f"test {path.name}", size, "B") as advance:
            archive.pump({member.name for member in archive.members}, lambda _: _Nowhere(advance))


def unpack_nested(path: Path, folder: Path, wanted: Collection[str] = (), *, depth: int = 2) -> list[Path]:
    """Write the archives inside an archive to `folder`, as for Kaggle's <slug>.zip of train.7z ...

    Those already there with the right size are left as they are.

    Args:
        path: a zip or 7z file.
        folder: gets the archives inside, by their names without folders.
        wanted: members to take as well, such as sample_submission.csv, under their whole names.
        depth: how many archives may lie inside each other.

    Returns:
        The innermost archives and the wanted members; nothing where `path` contains neither.

    Raises:
        ArchiveError: as `stream`; or archives are nested deeper than `depth`.
    """
    with open_archive(path) as archive:
        names = [m.name for m in archive.members]
        inner = {n: folder / Path(n).name for n in names if n.lower().endswith(ARCHIVE_SUFFIXES)}
        plain = {n: folder / n for n in names if n in wanted and n not in inner}
        targets = inner | plain
        if len(set(targets.values())) < len(targets):
            raise unsafe(path, "contains several files of one name")
        if inner and depth == 0:
            raise unsafe(path, "is the third archive inside another")
        absent = {
            m.name for m in archive.members if m.name in targets and not _has_size(targets[m.name], m.size)
        }
        if absent:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".part.", dir=folder) as temporary:
                parts = {name: Path(temporary, str(i)) for i, name in enumerate(absent)}
                archive.pump(absent, lambda member: _File(parts[member.name]))
                for name, part in parts.items():
                    move_into_place(part, targets[name])
    leaves = list(plain.values())
    for target in inner.values():
        leaves += unpack_nested(target, folder, depth=depth - 1) or [target]
    return leaves


def _has_size(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


class _Memory:
    """Collects a member and hands it over."""

    def __init__(self, member: Member, take: Callable[[Member, bytes], None]) -> None:
        self.member = member
        self.take = take
        self.parts: list[bytes] = []

    def write(self, data: bytes, /) -> None:
        self.parts.append(bytes(data))

    def close(self) -> None:
        content = b"".join(self.parts)
        self.parts.clear()  # py7zr keeps every sink until it is closed itself
        self.take(self.member, content)


class _Nowhere:
    """Counts a member's bytes."""

    def __init__(self, advance: Callable[[int], None]) -> None:
        self.advance = advance

    def write(self, data: bytes, /) -> None:
        self.advance(len(data))

    def close(self) -> None:
        pass


class _File:
    """Writes a member to a file."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("wb")

    def write(self, data: bytes, /) -> None:
        self.file.write(data)

    def close(self) -> None:
        self.file.close()

    def __del__(self) -> None:  # where a damaged member never came to its end
        self.file.close()
