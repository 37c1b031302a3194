"""Read every file of a workspace, large ones a mebibyte at a time, and compare it with its checksum."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from kagglekit.errors import ArchiveError, DamagedCacheError, KagglekitError, MissingError
from kagglekit.files import archive, parquet
from kagglekit.files.atomic import MARKER, read_json
from kagglekit.files.blocks import LEVELS, CheckedFile
from kagglekit.files.checksums import KEY
from kagglekit.files.json_lines import parsed
from kagglekit.files.leftovers import is_temporary
from kagglekit.files.patterns import is_archive
from kagglekit.files.raw import last_fingerprint, sha256
from kagglekit.files.workspace import Workspace, model_of
from kagglekit.submission.ledger import Ledger
from kagglekit.terminal import progress
from kagglekit.training import checkpoint


class Damage(NamedTuple):
    """A file that is not as it was written."""

    path: Path
    what: str
    remedy: str


class CheckedFiles(NamedTuple):
    """What has been read."""

    number: int
    size: int
    """Bytes."""
    without: int
    """Files without a checksum: those of an earlier version, and those that kagglekit does not read again."""
    damages: list[Damage]
    edited: list[Damage]
    """CSVs of submissions that were edited, or damaged, after they were written."""


def check_files(workspace: Workspace) -> CheckedFiles:
    """Read all files of a workspace, and the submissions that the log names.

    Another process may work meanwhile: what it is writing, and what it removes, is left out.
    """
    sizes, without, damages = _sizes(workspace), 0, []
    with progress.bar("check files", sum(sizes.values()), "B") as advance:
        for path, size in sizes.items():
            try:
                without += not _is_proven(workspace, path)
            except (KagglekitError, OSError, ValueError) as error:
                if path.exists():
                    damages.append(Damage(path, str(error), _remedy(workspace, path, error)))
            advance(size)
    ledger_is_whole = all(damage.path != workspace.ledger_path for damage in damages)
    edited = list(_edited(workspace)) if ledger_is_whole else []
    return CheckedFiles(len(sizes), sum(sizes.values()), without, damages, edited)


def _sizes(workspace: Workspace) -> dict[Path, int]:
    """Return the size of each file to read, in bytes."""
    paths = {workspace.ledger_path}
    for folder, folders, names in os.walk(workspace.root):
        folders[:] = [name for name in folders if not is_temporary(name)]
        paths |= {Path(folder, name) for name in names if not name.endswith(".lock")}
    sizes = {}
    for path in sorted(paths):
        with suppress(FileNotFoundError):
            if path.is_file() and not is_temporary(path.name):
                sizes[path] = path.stat().st_size
    return sizes


def _is_proven(workspace: Workspace, path: Path) -> bool:
    """Compare a file with its checksum; False where it has none.

    Raises:
        KagglekitError, OSError, ValueError: it is damaged.
    """
    where = path.relative_to(workspace.root).parts if path.is_relative_to(workspace.root) else (path.name,)
    if path.suffix in (".jsonl", ".journal"):
        return _has_whole_lines(path)
    if path.is_relative_to(workspace.raw) or path.is_relative_to(workspace.datasets):
        return _is_as_fetched(workspace, path)
    if path.is_relative_to(workspace.incoming):
        return False
    if path.name != MARKER and any((folder / MARKER).is_file() for folder in path.parents[:LEVELS]):
        file = CheckedFile(path)
        file.check()
        return file.is_known
    bound = len(where) > 3 or where[0] == workspace.ensembles.name
    if path.suffix == ".json":
        read_json(path, bound=bound)
    elif path.suffix == ".parquet":
        parquet.read(path, "", bound=bound)
    elif path.suffix == ".safetensors":
        checkpoint.load(path)
    else:
        return False
    return KEY.encode() in path.read_bytes()


def _has_whole_lines(path: Path) -> bool:
    is_proven = True
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip() and parsed(line) is None:
                raise ValueError(f"line {number} is damaged")
            is_proven &= KEY.encode() in line
    return is_proven


def _is_as_fetched(workspace: Workspace, path: Path) -> bool:
    proven = last_fingerprint(path, workspace.fingerprints).proven
    if proven is not None:
        if sha256(path) != proven:
            raise MissingError(f"{path} has changed since it was fetched", hint="fetch it: kagglekit fetch")
        return True
    if not is_archive(path.name):
        return False
    archive.verify(path)
    return True


def _edited(workspace: Workspace) -> Iterator[Damage]:
    for entry in Ledger(workspace.ledger_path).entries():
        path = workspace.submissions / entry.csv
        if not entry.foreign and path.is_file() and sha256(path) != entry.sha256:
            remedy = "kagglekit submit --file sends it as it is; restore it from git, or remove it"
            yield Damage(path, "edited or damaged after it was written", remedy)


def _remedy(workspace: Workspace, path: Path, error: Exception) -> str:
    """Say how to get a damaged file again."""
    if isinstance(error, DamagedCacheError):
        return "the next command that needs it makes it again"
    if path == workspace.ledger_path:
        return "restore it from git; kagglekit leaderboard names the line"
    where = path.relative_to(workspace.root).parts
    folder = workspace.root.joinpath(*where[:3])
    if where[0] == workspace.runs.name and len(where) > 3:
        again = f"kagglekit train --model {model_of(folder.parent)}"
        return f"remove the folder {folder}, and train again: {again}"
    if where[0] == workspace.studies.name and len(where) > 3:
        return f"remove the folder {folder}: the search trains that trial again"
    if where[0] == workspace.studies.name:
        return "kagglekit tune names the record, and how to keep the trials before it"
    if where[0] == workspace.ensembles.name:
        return f"remove the folder {path.parent}: kagglekit ensemble makes it again"
    if where[0] in (workspace.raw.name, workspace.datasets.name) or isinstance(error, ArchiveError):
        return "fetch it again: kagglekit fetch"
    return getattr(error, "hint", None) or "remove it: the next command makes it again"
