"""Look a pattern up in a folder or an archive, and in the archives that it names inside."""

import difflib
import functools
import os
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from kagglekit.files import archive
from kagglekit.files.archive.checks import unsafe
from kagglekit.files.atomic import building
from kagglekit.files.keys import key_of
from kagglekit.files.patterns import (
    Pattern,
    expression,
    has_wildcard,
    is_archive,
    is_junk,
    same_form,
    without_ending,
)
from kagglekit.files.places import Place
from kagglekit.files.trees import Tree
from kagglekit.files.workspace import Workspace
from kagglekit.terminal import console

MAX_NESTED = 2
"""How deep archives may lie in archives."""
MOST_COUNTED = 200_000
MOST_FOLDERS = 2_000


class File(NamedTuple):
    """A file of the competition."""

    path: str
    """As the YAML writes it, its wildcards filled in: train.7z/train/audio/yes/a.wav. Unique."""
    size: int
    """Bytes."""


class Batch(NamedTuple):
    """Files of one archive or one folder."""

    source: Path
    packed: bool
    """The source is an archive."""
    prefix: str
    """What the files' paths begin with."""
    inside: str
    """What stands for the prefix in the source: the folder that the files lie in."""
    files: list[File]

    def name(self, file: File) -> str:
        """Return a file's name in the source."""
        return self.inside + file.path[len(self.prefix) :]

    def stamps(self) -> Iterator[tuple[str, int, int]]:
        """Yield name, size and time of each file of a folder."""
        source = os.fspath(self.source)
        for file in self.files:
            status = os.stat(os.path.join(source, self.name(file)))
            yield file.path, status.st_size, status.st_mtime_ns


class Searched(NamedTuple):
    """A folder or an archive that has been searched without success."""

    path: Path
    prefix: str
    """The part of the pattern that led here."""
    rest: str
    """The part that matched nothing."""
    names: Callable[[], Iterable[str]]
    """Lists the files there."""

    def describe(self) -> str:
        """Say what is there: a count and three examples."""
        names = islice(self.names(), MOST_COUNTED)
        first = list(islice(names, 3))
        count = len(first) + sum(1 for _ in names)
        many = f"more than {count:,}" if count == MOST_COUNTED else f"{count:,}"
        if not first:
            return f"{self.path} is empty"
        examples = ", ".join(f"'{name[:100]}'" for name in first) + ", …" * (count > len(first))
        return f"{self.path} holds {many} file{'s' * (count != 1)}, such as {examples}"

    def hint(self, pattern: Pattern) -> str:
        """Name the folder that is closest to the one that the pattern names."""
        wanted = self.rest.rpartition("/")[0]
        folders = self._folders()
        if wanted and any(expression(wanted).fullmatch(same_form(folder)) for folder in folders):
            return f"the folder is there: check names and endings of the files in '{pattern.text}'"
        fixed = wanted.partition("*")[0].rstrip("/") or wanted
        near = difflib.get_close_matches(fixed, folders, n=1, cutoff=0.5) or folders[:1]
        if near:
            return f"the closest folder is '{self.prefix}{near[0]}'; correct the path in competition.yaml"
        return "correct the path in competition.yaml"

    def _folders(self) -> list[str]:
        folders: dict[str, None] = {}
        for name in islice(self.names(), MOST_COUNTED):
            folder = name.rpartition("/")[0]
            while folder and folder not in folders and len(folders) < MOST_FOLDERS:
                folders[folder] = None
                folder = folder.rpartition("/")[0]
        return list(folders)


class Lookup:
    """One look-up, and what it met on its way."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self._searched: list[Searched] = []

    def place(self, place: Place, levels: tuple[str, ...], prefix: str) -> list[Batch]:
        """Look into a place: a folder, or a bundle that stands for one."""
        if not place.bundle:
            return self._in_tree(Tree(place.path, place.skip), "", levels, prefix)
        batches = self._in_archive(place.path, levels, prefix)
        members = [m for m in archive.listing(place.path) if not is_junk(m.name)]
        if not batches and len(members) == 1 and is_archive(members[0].name):  # a bundle within a bundle
            console.note(f"{place.path.name} holds nothing but {members[0].name}: looking into that")
            inner = self._unpack(place.path, members[0].name)
            batches = self._in_archive(inner, levels, prefix, depth=1)
        return batches

    def nearest(self) -> Searched | None:
        """Return the place where the lookup came closest to an end."""
        return max(self._searched, key=lambda s: len(s.prefix), default=None)

    def on_disk(self, batch: Batch) -> Path:
        """Return the path of a batch's only file, unpacked where it lies in an archive."""
        (file,) = batch.files
        name = batch.name(file)
        return self._unpack(batch.source, name) if batch.packed else batch.source / name

    def _in_tree(self, tree: Tree, inside: str, levels: tuple[str, ...], prefix: str) -> list[Batch]:
        first, rest = levels[0], levels[1:]
        files = [
            File(prefix + path[len(inside) :], status.st_size) for path, status in tree.match(first, inside)
        ]
        files.sort()
        batch = Batch(tree.root, False, prefix, inside, files)
        names = functools.partial(tree.names, inside)
        if not rest:
            return [batch] if files else self._note(tree.root / inside, prefix, first, names)
        batches: list[Batch] = []
        for file in files:
            batches += self._in_archive(tree.root / batch.name(file), rest, f"{file.path}/")
        if files or has_wildcard(first):
            return batches
        # Kaggle mounts train.zip as a folder train
        for name in (first, without_ending(first)):
            if tree.is_folder(inside + name):
                return self._in_tree(tree, f"{inside}{name}/", rest, f"{prefix}{first}/")
        return self._note(tree.root / inside, prefix, first, names)

    def _in_archive(
        self, path: Path, levels: tuple[str, ...], prefix: str, inside: str = "", depth: int = 0
    ) -> list[Batch]:
        first, rest = levels[0], levels[1:]
        matches, at = expression(first).fullmatch, len(inside)
        names = [member for member in archive.listing(path) if member.name.startswith(inside)]
        files = [
            File(prefix + name[at:], size)
            for name, size in names
            if matches(same_form(name[at:])) and not is_junk(name)
        ]
        batch = Batch(path, True, prefix, inside, files)
        if not rest:
            return [batch] if files else self._note(path, prefix, first, lambda: (n[at:] for n, _ in names))
        batches: list[Batch] = []
        for file in files:
            if depth == MAX_NESTED:
                raise unsafe(path, "contains archives that are nested too deep")
            inner = self._unpack(path, batch.name(file))
            batches += self._in_archive(inner, rest, f"{file.path}/", depth=depth + 1)
        if files or has_wildcard(first):
            return batches
        for name in (first, without_ending(first)):
            folder = f"{inside}{name}/"
            if any(member.name.startswith(folder) for member in names):
                return self._in_archive(path, rest, f"{prefix}{first}/", folder, depth)
        return self._note(path, prefix, first, lambda: (n[at:] for n, _ in names))

    def _note(self, path: Path, prefix: str, rest: str, names: Callable[[], Iterable[str]]) -> list[Batch]:
        self._searched.append(Searched(path, prefix, rest, names))
        return []

    def _unpack(self, path: Path, name: str) -> Path:
        """Extract an archive that lies in another, once, to unpacked/."""
        status = path.stat()
        folder = self.workspace.unpacked / key_of(str(path.resolve()), name)
        file_name = Path(name).name
        with building(folder, key_of(status.st_size, status.st_mtime_ns)) as part:
            if part is not None:
                archive.copy_member(path, name, part / file_name)
        return folder / file_name
