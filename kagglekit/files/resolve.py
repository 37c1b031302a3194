"""Find the files that a path of competition.yaml names, wherever they lie, and read them.

They are read where they lie: in a folder, in an archive, or in an archive inside another, which alone is
unpacked, to unpacked/ in the workspace. A file's path is always the one that the YAML writes, its wildcards
filled in.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from kagglekit.errors import ArchiveError, ConfigError, MissingError, plural
from kagglekit.files import archive
from kagglekit.files.archive.parts import parts as archive_parts
from kagglekit.files.keys import key_of
from kagglekit.files.lookup import Batch, File, Lookup
from kagglekit.files.patterns import TABLE_SUFFIXES, Pattern, is_archive, is_audio, is_junk, parse
from kagglekit.files.places import Place, places
from kagglekit.files.raw import check_fetched, unchanged_fingerprint
from kagglekit.files.trees import read_regular
from kagglekit.files.workspace import Workspace
from kagglekit.terminal import console

MAX_TABLE_BYTES = 2**30

Add = Callable[[File, bytes], None]
Choose = Callable[[list[File]], Collection[str]]


def list_files(
    workspace: Workspace, pattern: str, root: Path | None = None, *, empty_ok: bool = False
) -> list[File]:
    """List the files that a pattern matches: in stored order in archives, sorted in folders.

    Args:
        pattern: a path of competition.yaml; see `kagglekit.files.patterns`.
        root: look in this folder, instead of the competition's places (`kagglekit.files.places`).
        empty_ok: return an empty list where nothing matches.

    Raises:
        MissingError: the files have not been fetched.
        ConfigError: nothing matches; the hint has the closest folder.
        ArchiveError: an archive is damaged or unsafe, or a link leads out of its folder.
    """
    return [file for batch in find(workspace, pattern, root, empty_ok) for file in batch.files]


def stream(
    workspace: Workspace,
    patterns: str | Sequence[str],
    add: Add,
    wanted: Collection[str] | Choose | None = None,
    root: Path | None = None,
) -> None:
    """Read files, each archive in one pass and without unpacking it.

    Args:
        patterns: which files; those of several patterns in one archive come in the same pass.
        add: called with each file and its bytes, in the order of `list_files`.
        wanted: the paths to read of these files; or what chooses them from all, called once before the
            first `add`. By default all.

    Raises:
        KagglekitError: as `list_files`; or a file is damaged, or larger than archive.MAX_MEMBER_BYTES.
    """
    patterns = [patterns] if isinstance(patterns, str) else patterns
    sources = _by_source(batch for p in patterns for batch in find(workspace, p, root, empty_ok=True))
    if wanted is not None:
        files = [file for source in sources for file in source.files.values()]
        chosen = set(wanted(files) if callable(wanted) else wanted)
        if unknown := chosen.difference(file.path for file in files):
            raise MissingError(
                f"there is no file {min(unknown)!r} (and {len(unknown) - 1:,} more)",
                hint="files have been removed or renamed: run the same command again",
            )
        sources = [source.only(chosen) for source in sources]
    for source in sources:
        _read(source, add)


def read_file(workspace: Workspace, path: str, root: Path | None = None) -> bytes:
    """Read one table. It may be named as an archive that holds one table, and may come as <path>.zip.

    Raises:
        KagglekitError: as `list_files`; or the path matches several files, or the archive holds several
            tables.
    """
    pattern, lookup = parse(path), Lookup(workspace)
    batches = _search(lookup, pattern, workspace, root)
    if batches and is_archive(path):
        return _only_table(lookup.on_disk(_one(batches, path)), path)
    if not batches and (packed := _packed(workspace, path, root)):
        return _only_table(lookup.on_disk(_one(packed, path)), path)
    if not batches:
        raise _nothing(lookup, pattern, workspace, root)
    if pattern.beside and batches[0].files[0].path == pattern.beside.text:
        console.note(f"'{path}' is not in the archive: reading '{pattern.beside.text}' beside it")
    contents: list[bytes] = []
    (source,) = _by_source([_one(batches, path)])
    _read(source, lambda _, data: contents.append(data), limit=MAX_TABLE_BYTES)
    if not source.packed:
        check_fetched(source.path / next(iter(source.files)), contents[0], workspace.fingerprints)
    return contents[0]


def read_tables(workspace: Workspace, path: str, add: Add, root: Path | None = None) -> None:
    """Read the tables that a path matches, one after the other, in the order of `list_files`.

    Args:
        path: one table, as `read_file` takes it, or a pattern that matches several.
        add: called with each table and its bytes.

    Raises:
        KagglekitError: as `read_file`.
    """
    batches = [] if is_archive(path) or parse(path).literal else find(workspace, path, root, empty_ok=True)
    if sum(len(batch.files) for batch in batches) > 1:
        for source in _by_source(batches):
            _read(source, add, limit=MAX_TABLE_BYTES)
        return
    data = read_file(workspace, path, root)
    add(File(path, len(data)), data)


def holds_no_recording(workspace: Workspace, path: str) -> bool:
    """Tell whether the archive or the folder of a pattern is there, and has no audio file anywhere in it."""
    levels = parse(path).levels
    folder = levels[0].partition("*")[0].rpartition("/")[0]
    around = "/".join(levels[:-1]) if len(levels) > 1 else folder
    if not around:
        return False
    names = [file.path for file in list_files(workspace, f"{around}/**", empty_ok=True)]
    there = bool(names) or (len(levels) > 1 and is_there(workspace, around))
    return there and not any(map(is_audio, names))


def is_there(workspace: Workspace, path: str) -> bool:
    """Tell whether a path of competition.yaml matches anything, or its table is there as an archive."""
    return bool(find(workspace, path, None, empty_ok=True) or _packed(workspace, path, None))


def fingerprint_of(workspace: Workspace, patterns: str | Sequence[str], root: Path | None = None) -> str:
    """Return what tells whether the files of patterns have changed, for the keys of caches.

    Archives, and files that are named without wildcards, count by their sha256; the files of a folder by
    names, sizes and times. A pattern that matches nothing counts as that.
    """
    parts: list[object] = []
    for text in [patterns] if isinstance(patterns, str) else patterns:
        for batch in find(workspace, text, root, empty_ok=True) or _packed(workspace, text, root):
            if batch.packed:
                paths = archive_parts(batch.source)
                parts += [unchanged_fingerprint(path, workspace.fingerprints) for path in paths]
            elif parse(text).literal:
                paths = [batch.source / batch.name(file) for file in batch.files]
                parts += [unchanged_fingerprint(path, workspace.fingerprints) for path in paths]
            else:
                parts.append(key_of(*batch.stamps()))
    unique = list(dict.fromkeys(map(str, parts)))
    return unique[0] if len(unique) == 1 else key_of(unique)


# --- finding ---


def find(workspace: Workspace, text: str, root: Path | None, empty_ok: bool) -> list[Batch]:
    """Return the files that a pattern matches, by the archive or folder that holds them.

    Raises:
        KagglekitError: as `list_files`.
    """
    pattern, lookup = parse(text), Lookup(workspace)
    batches = _search(lookup, pattern, workspace, root)
    if not batches and not empty_ok:
        raise _nothing(lookup, pattern, workspace, root)
    return batches


def _search(lookup: Lookup, pattern: Pattern, workspace: Workspace, root: Path | None) -> list[Batch]:
    """Look into one place after the other, and return what the first has that has any.

    A table that an archive lacks is looked for beside it, too, where most hosts put theirs.
    """
    prefix = f"{pattern.dataset}/" if pattern.dataset else ""
    for place in _asked(pattern, workspace, root):
        if batches := lookup.place(place, pattern.levels, prefix):
            return batches
    return _search(lookup, pattern.beside, workspace, root) if pattern.beside else []


def _packed(workspace: Workspace, path: str, root: Path | None) -> list[Batch]:
    """Return the archive that stands for a table: train.csv.zip for train.csv."""
    if is_archive(path) or not parse(path).literal:
        return []
    patterns = (parse(path + ending) for ending in (".zip", ".7z", ".tar.gz"))
    return next(filter(None, (_search(Lookup(workspace), p, workspace, root) for p in patterns)), [])


def _asked(pattern: Pattern, workspace: Workspace, root: Path | None) -> list[Place]:
    loose = len(pattern.levels) == 1 and not pattern.literal
    return [place for place in places(workspace, pattern.dataset, root) if loose or not place.trees]


def _nothing(
    lookup: Lookup, pattern: Pattern, workspace: Workspace, root: Path | None
) -> ConfigError | MissingError:
    """Build the error for a pattern that matches nothing: what is there, and the closest folder."""
    nearest = lookup.nearest()
    if nearest is None:
        what = f"{pattern.text} has not been fetched"
        return MissingError(f"{what}: {workspace.raw} is empty", hint="fetch it: kagglekit fetch")
    text = f"no file matches '{pattern.text}': {nearest.describe()}"
    unfetched = all(place.fetched and not place.bundle for place in _asked(pattern, workspace, root))
    if not nearest.prefix and unfetched:
        return MissingError(text, hint="fetch it: kagglekit fetch")
    return ConfigError(text, hint=nearest.hint(pattern))


# --- reading ---


class _Source(NamedTuple):
    """The files to read from one archive or folder, by their names there."""

    path: Path
    packed: bool
    files: dict[str, File]

    def only(self, paths: Collection[str]) -> "_Source":
        return self._replace(files={name: file for name, file in self.files.items() if file.path in paths})


def _by_source(batches: Iterable[Batch]) -> list[_Source]:
    sources: dict[Path, _Source] = {}
    for batch in batches:
        source = sources.setdefault(batch.source, _Source(batch.source, batch.packed, {}))
        source.files.update((batch.name(file), file) for file in batch.files)
    return list(sources.values())


def _read(source: _Source, add: Add, limit: int | None = None) -> None:
    files = source.files
    if not files:
        return
    if source.packed:
        archive.stream(source.path, lambda m, data: add(files[m.name], data), lambda _: files, limit)
        return
    for name, file in files.items():
        add(file, read_regular(source.path / name, archive.MAX_MEMBER_BYTES if limit is None else limit))


def _one(batches: list[Batch], path: str) -> Batch:
    files = [file for batch in batches for file in batch.files]
    if len(files) != 1:
        raise ConfigError(
            f"'{path}' must name one table, and matches {len(files):,} files", hint="write its whole name"
        )
    return batches[0]


def _only_table(path: Path, name: str) -> bytes:
    """Read an archive's only table."""

    def choose(members: list[archive.Member]) -> list[str]:
        tables = [m.name for m in members if m.name.lower().endswith(TABLE_SUFFIXES) and not is_junk(m.name)]
        same = [t for t in tables if t.rpartition("/")[2] == name.rpartition("/")[2]]
        if len(tables) != 1 and len(same) != 1:
            names = ", ".join(f"'{t}'" for t in tables[:3]) or "none"
            raise ArchiveError(
                f"{path.name} holds {plural(len(tables), 'table')}, not one: {names}",
                hint=f"name one in competition.yaml, such as {path.name}/{(tables or ['train.csv'])[0]}",
            )
        return tables if len(tables) == 1 else same

    contents: list[bytes] = []
    archive.stream(path, lambda _, data: contents.append(data), choose, MAX_TABLE_BYTES)
    return contents[0]
