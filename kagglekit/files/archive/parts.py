"""Archives in several files: train.z01, train.z02 and train.zip; or train.7z.001, train.7z.002 ..."""

import io
from bisect import bisect_right
from collections.abc import Collection, Sequence
from itertools import accumulate
from pathlib import Path
from typing import IO

FIRST = (".zip.001", ".7z.001", ".tar.001", ".tar.gz.001")
"""Endings of the first part of an archive that was cut into pieces."""
MOST = 999


def part_names(name: str, there: Collection[str]) -> list[str]:
    """Return the parts of an archive, in order, of the names that are there; its own where it is whole."""
    names: list[str] = []
    stem, dot, ending = name.rpartition(".")
    if name.lower().endswith(FIRST):
        candidates = [f"{stem}.{number:03}" for number in range(1, MOST)]
    elif dot and ending.lower() == "zip":
        marks = "z" if ending.islower() else "Z"
        candidates = [f"{stem}.{marks}{number:02}" for number in range(1, MOST)]
    else:
        return [name]
    for candidate in candidates:
        if candidate not in there:
            break
        names.append(candidate)
    return [*names, name] if ending.lower() == "zip" else names or [name]


def parts(path: Path) -> list[Path]:
    """Return the files of an archive, in order; itself alone where it is whole."""
    if not path.name.lower().endswith((".zip", *FIRST)):
        return [path]
    there = {other.name for other in path.parent.iterdir()}
    return [path.with_name(name) for name in part_names(path.name, there)]


class Joined(io.RawIOBase):
    """Several files, read as one."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.files = [path.open("rb") for path in paths]
        self.starts = [0, *accumulate(path.stat().st_size for path in paths)]
        """Where each part begins, and where the last one ends."""
        self.position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self.position, io.SEEK_END: self.starts[-1]}[whence]
        if base + offset < 0:
            raise ValueError(f"a place before the start: {base + offset}")
        self.position = base + offset
        return self.position

    def readinto(self, buffer: object, /) -> int:
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        number = bisect_right(self.starts, self.position) - 1
        if number >= len(self.files):
            return 0
        file = self.files[number]
        file.seek(self.position - self.starts[number])
        count = file.readinto(view)
        self.position += count
        return count

    def close(self) -> None:
        for file in self.files:
            file.close()
        super().close()


def open_whole(path: Path) -> IO[bytes]:
    """Open an archive, its parts as one file."""
    files = parts(path)
    return io.BufferedReader(Joined(files)) if len(files) > 1 else path.open("rb")


def size_of(path: Path) -> int:
    """Return an archive's bytes, of all its parts."""
    return sum(part.stat().st_size for part in parts(path))
