"""Read large files of finished folders through a memory map, and check each block when it is first used.

`atomic.building` keeps the checksums in the folder's marker. A block is checked once in each process.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import StringConstraints

from kagglekit.errors import DamagedCacheError
from kagglekit.files.atomic import MARKER, read_json, write_json
from kagglekit.files.checksums import BLOCK, block_sums, sums_of_folder
from kagglekit.files.faults import MachineError
from kagglekit.files.json_shape import shaped
from kagglekit.files.locks import locked
from kagglekit.terminal import console

LEVELS = 2
"""Folders above a file in which its marker is looked for."""
Places = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class FileSums:
    """What a marker says of a file."""

    size: int
    xxh3: Annotated[str, StringConstraints(pattern="^([0-9a-f]{16})*$")]
    """The checksum of each block, one behind the other."""


class CheckedFile:
    """The bytes of a file, of which those that are used have been checked.

    Args:
        path: the file, in a folder that `building` has finished, or below it.

    Raises:
        OSError: it cannot be read.
        DamagedCacheError: it has another size than it was written with.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        size = path.stat().st_size
        self.data: NDArray[np.uint8] = np.memmap(path, np.uint8, "r") if size else np.empty(0, np.uint8)
        """(bytes,); check what you read of it."""
        self.folder = next((folder for folder in path.parents[:LEVELS] if (folder / MARKER).is_file()), None)
        sums = self._sums()
        if sums is not None and sums[0] != size:
            raise self._damaged(f"it has {size:,} bytes, and was written with {sums[0]:,}")
        self._expected = None if sums is None else sums[1]
        self._unchecked = np.ones(0 if sums is None else len(sums[1]), bool)
        self._left = len(self._unchecked)

    @property
    def is_known(self) -> bool:
        """Whether the file has checksums."""
        return self._expected is not None

    @property
    def is_checked(self) -> bool:
        """Whether all blocks have been checked, or have no checksum."""
        return not self._left

    def check(self, start: int = 0, stop: int | None = None) -> None:
        """Check the blocks of bytes start ... stop - 1; without a stop, to the end.

        Raises:
            DamagedCacheError: one is damaged. The folder's marker says so then, and it is made again.
        """
        stop = len(self.data) if stop is None else stop
        if self._left and start < stop:
            self._check_blocks(np.arange(start // BLOCK, (stop - 1) // BLOCK + 1))

    def check_rows(self, starts: Places, size: int) -> None:
        """Check the blocks of rows of `size` bytes that begin at `starts`, (rows,).

        Raises:
            DamagedCacheError: as `check`.
        """
        if not self._left or not len(starts) or not size:
            return
        first, last = starts // BLOCK, (starts + size - 1) // BLOCK
        for step in range(int((last - first).max()) + 1):
            self._check_blocks(np.unique(np.minimum(first + step, last)))

    def _check_blocks(self, blocks: Places) -> None:
        for block in blocks[self._unchecked[blocks]].tolist():
            (actual,) = block_sums(self.data[block * BLOCK : (block + 1) * BLOCK])
            assert self._expected is not None
            if actual != self._expected[block]:
                raise self._damaged(f"the checksum of its bytes from {block * BLOCK:,} on does not match")
            self._unchecked[block] = False
        self._left = int(self._unchecked.sum())  # counted, as two threads may have checked the same block

    def _damaged(self, what: str) -> DamagedCacheError:
        assert self.folder is not None
        return damaged(self.folder, f"{self.path} is damaged: {what}")

    def _sums(self) -> tuple[int, Sequence[int]] | None:
        """Return the size and the block checksums that the file was written with; None: they are unknown."""
        if self.folder is None:
            return None
        files = _files_of(self.folder)
        entry = files.get(self.path.relative_to(self.folder).as_posix())
        if entry is None:
            return None
        text = entry.xxh3
        return entry.size, [int(text[at : at + 16], 16) for at in range(0, len(text), 16)]


def damaged(folder: Path, what: str) -> DamagedCacheError:
    """Write into a folder's marker that a file is damaged, so that it is made again, and return the error."""
    marker = folder / MARKER
    try:
        if marker.exists():
            write_json(marker, {"damaged": what})
    except (OSError, MachineError):  # a workspace that must not be written to
        return DamagedCacheError(what, hint=f"remove the folder {folder}: it is made again")
    return DamagedCacheError(what, hint="run the same command again: it is made again")


def _files_of(folder: Path) -> dict[str, FileSums]:
    """Return the sizes and checksums in a folder's marker; take them now where an earlier version took none.

    Raises:
        DamagedCacheError: the marker is damaged.
    """
    marker = folder / MARKER
    try:
        content = shaped(dict[str, Any], read_json(marker))
        if "damaged" in content:
            raise damaged(folder, str(content["damaged"]))
        if "files" in content:
            return shaped(dict[str, FileSums], content["files"])
    except (OSError, ValueError) as error:
        raise damaged(folder, f"{marker} cannot be read: {error}") from error
    try:
        with locked(folder, folder.name):
            files = sums_of_folder(folder)
            del files[MARKER]
            write_json(marker, {**content, "files": files})
    except (OSError, MachineError):  # a workspace that must not be written to
        return {}
    console.note(f"{folder} was made by an earlier version: its checksums are taken now")
    return shaped(dict[str, FileSums], files)
