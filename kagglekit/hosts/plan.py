"""Choose what to download, so that every path of competition.yaml is there: files, or one bundle of all."""

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from kagglekit.config import Config
from kagglekit.config.names import HOSTS
from kagglekit.errors import HostError, MissingError, plural
from kagglekit.files import places
from kagglekit.files.archive.parts import part_names
from kagglekit.files.lookup import Lookup
from kagglekit.files.patterns import (
    DATASET,
    KaggleDataset,
    Pattern,
    expression,
    is_junk,
    parse,
    same_form,
    without_ending,
)
from kagglekit.files.places import dataset_path, mount_of, mounted
from kagglekit.files.resolve import find, is_there
from kagglekit.files.wanted import host_files
from kagglekit.files.workspace import Workspace
from kagglekit.hosts.base import Arrived, Host, HostFile, describe, pick_file
from kagglekit.hosts.credentials import credential
from kagglekit.terminal import console

MOST_LISTED = 200
"""Files of one page of Kaggle's list; a competition with more of them is one of loose files."""
MOST_LOOSE = 50
"""Loose files that are downloaded one by one; more come as the bundle."""

Advance = Callable[[int], None]


class Wanted(NamedTuple):
    """Something to download."""

    file: HostFile
    """Its name in `folder`, and its size."""
    folder: Path
    """Where it belongs: raw/ or datasets/."""
    download: Callable[[Path, Advance], Arrived]
    """Downloads it into a folder, under its name."""


def plan(workspace: Workspace, host: Callable[[], Host], names: Sequence[str] = ()) -> list[Wanted]:
    """Return what to download for the paths of competition.yaml, or for `names`.

    Archives and tables are downloaded by name. Where a pattern matches more than MOST_LOOSE loose files, or
    the host's list has more than MOST_LISTED, the whole competition is, as <slug>.zip, unless the host's
    files can be read where they lie. What is mounted already is not downloaded.

    Args:
        host: opens the host; called only if something is to be downloaded.

    Raises:
        HostError: the host offers nothing for a path.
        KagglekitError: a competition that is mounted has nothing for a path, or a data set is not mounted and
            cannot be downloaded.
    """
    if names:
        own = [name for name in names if not name.startswith(DATASET)]
        datasets = [parse(f"{name.rstrip('/')}/*").dataset for name in names if name.startswith(DATASET)]
        files = _Choice(workspace, host()).named(own) if own else []
    else:
        patterns = [parse(path) for path in host_files(workspace.config)]
        patterns = [pattern for pattern in patterns if not _is_mounted(workspace, pattern)]
        datasets = [pattern.dataset for pattern in patterns]
        rest = [pattern for pattern in patterns if pattern.dataset is None]
        if mount_of(workspace.config.competition.slug) is not None:
            _check_mount(workspace, rest)
            rest = []
        files = _Choice(workspace, host()).choose(rest) if rest else []
    others = dict.fromkeys(dataset for dataset in datasets if dataset is not None)
    if others and places.INPUT.is_dir() and credential() is None:
        raise MissingError(
            f"the data set {next(iter(others))} is not mounted, and there is no credential to download it",
            hint="add it to the inputs of the notebook, then run the same command again",
        )
    own_files = [_from_host(workspace, host(), file) for file in files]
    return own_files + [_dataset(workspace, host, dataset) for dataset in others]


def _is_mounted(workspace: Workspace, pattern: Pattern) -> bool:
    for place in mounted(workspace, pattern.dataset):
        if Lookup(workspace).place(place, pattern.levels, ""):
            console.note(f"{pattern.text} is read where it lies, in {place.path}")
            return True
    return False


def _check_mount(workspace: Workspace, patterns: Sequence[Pattern]) -> None:
    """Check that paths are in the mounted competition, which is the whole of it: the host has no more.

    Raises:
        KagglekitError: as `find`, of a path that matches nothing there.
    """
    for pattern in patterns:
        if pattern.text not in optional(workspace.config) and not is_there(workspace, pattern.text):
            find(workspace, pattern.text, None, empty_ok=False)


def _from_host(workspace: Workspace, host: Host, file: HostFile) -> Wanted:
    def download(folder: Path, advance: Advance) -> Arrived:
        return host.download(file.name, folder, advance)

    return Wanted(file, workspace.raw, download)


def _dataset(workspace: Workspace, host: Callable[[], Host], dataset: KaggleDataset) -> Wanted:
    """Download a data set from Kaggle, also where the competition has another host."""
    name = dataset_path(workspace, dataset).relative_to(workspace.datasets).as_posix()

    def download(folder: Path, advance: Advance) -> Arrived:
        config = workspace.config
        kaggle = import_module(HOSTS["kaggle"])
        client: Any = (
            host() if config.competition.host == "kaggle" else kaggle.connect(config, workspace.root)
        )
        arrived: Arrived = client.download_dataset(dataset.owner, dataset.slug, folder, advance)
        return arrived

    return Wanted(HostFile(name, None, None), workspace.datasets, download)


def choose(workspace: Workspace, host: Host) -> list[HostFile]:
    """Return the competition's files that are needed and not mounted, for `doctor`.

    Raises:
        HostError: as `plan`.
    """
    patterns = [parse(path) for path in host_files(workspace.config)]
    return _Choice(workspace, host).choose([p for p in patterns if p.dataset is None])


def optional(config: Config) -> set[str | None]:
    """Return the paths that the host need not have: lists, and a test that only its notebooks see."""
    paths = {config.data.validation_list, config.data.testing_list}
    return paths | {config.data.test.files} if config.competition.delivery == "notebook" else paths


class _Choice:
    """The choice among a host's files."""

    def __init__(self, workspace: Workspace, host: Host) -> None:
        self.host = host
        self.bundle_name = f"{workspace.config.competition.slug}.zip"
        self.bundle = host.bundle()
        self.listed = host.files(MOST_LISTED + 1)
        self.is_whole = len(self.listed) <= MOST_LISTED
        self.optional = optional(workspace.config)

    def named(self, names: Sequence[str]) -> list[HostFile]:
        """Return the files with names that a person has typed."""
        if not set(names) <= set(self._names()):
            if (
                self.bundle is not None
                and self.bundle.name in names
                and self.bundle.name not in self._names()
            ):
                rest = [name for name in names if name != self.bundle.name]
                return [self.bundle, *self.named(rest)]
            self.listed, self.is_whole = self.host.files(), True
        return self._with_parts([pick_file(self.listed, name) for name in dict.fromkeys(names)])

    def choose(self, patterns: Sequence[Pattern]) -> list[HostFile]:
        """Return the files that patterns need."""
        chosen: dict[str, HostFile] = {}
        for pattern in patterns:
            if pattern.text in self.optional and self.is_whole and not self._matches(pattern.levels[0]):
                continue
            is_loose = len(pattern.levels) == 1 and not pattern.literal
            files = self._loose(pattern) if is_loose else self._named(pattern)
            if self.bundle is not None and self.bundle in files:
                return [self.bundle]  # which has everything else in it
            chosen.update((file.name, file) for file in self._with_parts(files))
            if (beside := pattern.beside) is not None and beside.text in self._names():
                chosen[beside.text] = self._names()[beside.text]
        return list(chosen.values())

    def _with_parts(self, files: Sequence[HostFile]) -> list[HostFile]:
        """Add the other parts of archives in several parts."""
        listed = self._names()
        return [listed.get(name, file) for file in files for name in part_names(file.name, listed)]

    def _loose(self, pattern: Pattern) -> list[HostFile]:
        """Choose among loose files; none where they are read from the host's own folder."""
        if self.bundle is not None and not self.is_whole:
            return [self.bundle]
        files = self._matches(pattern.levels[0])
        if self.bundle is None:
            if not files and self.bundle_name not in self._names():
                raise self._nothing(pattern)
            return [] if files else [self._names()[self.bundle_name]]
        if len(files) > MOST_LOOSE:
            return [self.bundle]
        if not files:
            return [self._instead(pattern)]
        return files

    def _named(self, pattern: Pattern) -> list[HostFile]:
        """Choose an archive or a table; tables may come packed, and archives unpacked, in the bundle."""
        name = pattern.levels[0]
        if self.bundle is not None and name == self.bundle.name and name not in self._names():
            return [self.bundle]
        files = self._matches(name) or self._matches(f"{name}.zip")
        if not files and not self.is_whole:
            self.listed, self.is_whole = self.host.files(), True
            files = self._matches(name) or self._matches(f"{name}.zip")
        if not files and self.bundle is not None and self._is_folder(name):
            return [self.bundle]
        return files or [self._instead(pattern)]

    def _instead(self, pattern: Pattern) -> HostFile:
        """Return the bundle where the host lists it as a file, as a competition of one file does."""
        if self.bundle_name in self._names():
            return self._names()[self.bundle_name]
        raise self._nothing(pattern)

    def _matches(self, text: str) -> list[HostFile]:
        matches = expression(text).fullmatch
        return [f for f in self.listed if matches(same_form(f.name)) and not is_junk(f.name)]

    def _is_folder(self, name: str) -> bool:
        folders = (f"{name}/", f"{without_ending(name)}/")
        return any(file.name.startswith(folders) for file in self.listed)

    def _names(self) -> dict[str, HostFile]:
        return {file.name: file for file in self.listed}

    def _nothing(self, pattern: Pattern) -> HostError:
        if pattern.literal or len(pattern.levels) > 1:
            try:
                pick_file(self.listed, pattern.levels[0])
            except HostError as error:
                return error
        what = f"the competition has no file that matches '{pattern.text}'"
        return HostError(f"{what}; it has {plural(len(self.listed), 'file')}", hint=describe(self.listed))
