"""Walk a folder that somebody else filled: links that lead out of it and devices are refused."""

import os
import stat
from collections.abc import Collection, Iterator
from pathlib import Path

from kagglekit.errors import ArchiveError, MissingError
from kagglekit.files.patterns import has_wildcard, is_junk, name_expression, same_form

MAX_DEPTH = 64
"""Most folders in each other."""


class Tree:
    """A folder, in which patterns are looked up. Nothing is written there.

    Args:
        root: the folder.
        skip: names in it, or paths below it, that do not belong to the data.
    """

    def __init__(self, root: Path, skip: Collection[str] = ()) -> None:
        self.root = root
        self.skip = frozenset(skip)
        self._real = os.path.realpath(root)

    def match(self, pattern: str, inside: str = "") -> Iterator[tuple[str, os.stat_result]]:
        """Yield the files that match a pattern without archives, each a path below `root` and its stat.

        Args:
            inside: look in this folder below `root`, "" or with a / at its end.

        Raises:
            ArchiveError: one of them is a device, or a link that leads out of the folder; or folders are
                nested too deep.
        """
        segments = tuple(pattern.split("/"))
        yield from self._descend(inside, segments, frozenset(_reach(segments, 0)))

    def names(self, inside: str = "") -> Iterator[str]:
        """Yield the paths of all files below a folder, for a message; links are not followed."""
        return (path for path in self.all_names(inside) if not is_junk(path))

    def all_names(self, inside: str = "") -> Iterator[str]:
        """Yield `names`, and the files that a system has added."""
        start = self.root / inside
        for folder, folders, names in os.walk(start):
            folders.sort()
            below = Path(folder).relative_to(start)
            for name in sorted(names):
                path = (below / name).as_posix()
                if self._top(inside + path) not in self.skip:
                    yield path

    def is_folder(self, path: str) -> bool:
        """Tell whether there is a folder."""
        return self._top(path) not in self.skip and (self.root / path).is_dir() and not self._leads_out(path)

    def _descend(
        self, inside: str, segments: tuple[str, ...], states: frozenset[int]
    ) -> Iterator[tuple[str, os.stat_result]]:
        """Match below one folder.

        Args:
            states: the places in `segments` at which a name in this folder may stand.
        """
        if inside.count("/") > MAX_DEPTH:
            raise ArchiveError(
                f"{self.root} has more than {MAX_DEPTH} folders in each other",
                hint="name the folder that holds the recordings, instead of **",
            )
        final = segments[-1] if len(segments) - 1 in states else None
        for name, entry in self._entries(inside, segments, states):
            path = inside + name
            folder = entry.is_dir()
            if path in self.skip:
                continue
            if is_junk(name):
                continue
            if folder:
                below = frozenset(_below(segments, states, same_form(name)))
                if below and self._is_followed(path, entry, segments, states, below):
                    yield from self._descend(f"{path}/", segments, below)
            elif final is not None and _fits(final, same_form(name)):
                yield path, self._regular(path, entry)

    def _entries(
        self, inside: str, segments: tuple[str, ...], states: frozenset[int]
    ) -> list[tuple[str, "os.DirEntry[str] | _Entry"]]:
        """List a folder, or look up the one name that is wanted in it."""
        folder = self.root / inside if inside else self.root
        if len(states) == 1:
            (name,) = (segments[i] for i in states)
            if not has_wildcard(name) and os.path.lexists(folder / name):
                return [(name, _Entry(folder / name))]
        try:
            with os.scandir(folder) as entries:
                return sorted((entry.name, entry) for entry in entries)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except PermissionError as error:
            raise MissingError(f"{folder} cannot be read", hint="check its permissions") from error

    def _is_followed(
        self,
        path: str,
        entry: "os.DirEntry[str] | _Entry",
        segments: tuple[str, ...],
        states: frozenset[int],
        below: frozenset[int],
    ) -> bool:
        """Tell whether to look into a folder; `**` does not follow links, which may lead in circles."""
        if not entry.is_symlink():
            return True
        self._check_link(path)
        return not below <= {p for i in states if segments[i] == "**" for p in _reach(segments, i)}

    def _regular(self, path: str, entry: "os.DirEntry[str] | _Entry") -> os.stat_result:
        if entry.is_symlink():
            self._check_link(path)
        try:
            status = entry.stat()
        except FileNotFoundError as error:
            raise self._refused(path, "a link that leads nowhere") from error
        if not stat.S_ISREG(status.st_mode):
            raise self._refused(path, "no regular file but a device, pipe or socket")
        return status

    def _check_link(self, path: str) -> None:
        if self._leads_out(path):
            raise self._refused(path, "a link that leads out of the folder")

    def _leads_out(self, path: str) -> bool:
        real = os.path.realpath(self.root / path)
        return os.path.commonpath([real, self._real]) != self._real

    def _refused(self, path: str, what: str) -> ArchiveError:
        return ArchiveError(
            f"{self.root / path} is {what}", hint="put the file itself there, or narrow the pattern"
        )

    def _top(self, path: str) -> str:
        return path.partition("/")[0]


class _Entry:
    """One name in a folder, as os.scandir would give it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def is_dir(self) -> bool:
        return self.path.is_dir()

    def is_symlink(self) -> bool:
        return self.path.is_symlink()

    def stat(self) -> os.stat_result:
        return self.path.stat()


def _reach(segments: tuple[str, ...], at: int) -> set[int]:
    """Return the places that a name may stand at when all before `at` is matched: ** may be no folder."""
    places = {at}
    while at < len(segments) and segments[at] == "**":
        at += 1
        places.add(at)
    return {place for place in places if place < len(segments)}


def _below(segments: tuple[str, ...], states: frozenset[int], name: str) -> set[int]:
    """Return the places at which a name in the folder `name` may stand."""
    below: set[int] = set()
    for i in states:
        if segments[i] == "**":
            below |= _reach(segments, i)
        elif i + 1 < len(segments) and _fits(segments[i], name):
            below |= _reach(segments, i + 1)
    return below


def _fits(segment: str, name: str) -> bool:
    return segment == name or bool(name_expression(segment).fullmatch(name))


def read_regular(path: Path, limit: int) -> bytes:
    """Read a file of at most `limit` bytes.

    Raises:
        ArchiveError: it is larger, or no regular file.
        MissingError: it has gone.
    """
    try:
        # NONBLOCK: a pipe that has been put in its place must not block
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except FileNotFoundError as error:
        raise MissingError(f"{path} has gone", hint="run the same command again") from error
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ArchiveError(f"{path} is no regular file", hint="put the file itself there")
        if status.st_size > limit:
            raise ArchiveError(
                f"{path} has {status.st_size:,} bytes, more than the limit of {limit:,} bytes in memory",
                hint="check the patterns under data: in competition.yaml",
            )
        return file.read()
