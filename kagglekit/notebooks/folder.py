"""The folder that `notebook build` writes and `notebook rehearse` and a push read.

    <workspace>/notebooks/<key>/
        dataset/                the data set: graphs, manifest.json, wheels, dataset-metadata.json
        kernel/                 the notebook: kagglekit_submit.py, kernel-metadata.json
        build.json              what was built, with the SHA-256 of each file; written last
        rehearsal.json          what the last rehearsal that passed has shown
        rehearsal/<name>.csv    its submissions: `visible`, of the files that the host shows, and `empty`

The owner's name in both metadata files is OWNER until a push fills it in.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from kagglekit.errors import KagglekitError, MissingError
from kagglekit.files.atomic import read_json, write_json
from kagglekit.files.json_shape import shaped

NOTEBOOKS = "notebooks"
"""Folder in the workspace."""
DATASET, KERNEL = "dataset", "kernel"
SCRIPT = "kagglekit_submit.py"
DATASET_METADATA, KERNEL_METADATA = "dataset-metadata.json", "kernel-metadata.json"
OUTPUT = "submission.csv"
BUILD, REHEARSAL = "build.json", "rehearsal.json"
OUTPUTS = "rehearsal"
OWNER = "OWNER"
"""Stands for the user's name in the metadata."""
AGAIN = "build it again: kagglekit notebook build"
MOST_OF_LIMIT = 0.8
"""Share of the time limit that a rehearsal may foretell."""
_BLOCK = 2**20


@dataclass(frozen=True, kw_only=True)
class BuildRecord:
    """What build.json holds."""

    key: str
    """Name of the folder: a hash of the blend, the settings and the code."""
    competition: str
    """Its slug."""
    dataset: str
    """Slug of the data set; its title gives it, too."""
    kernel: str
    """Slug of the kernel; likewise."""
    output: str = OUTPUT
    """Name of the file that the notebook writes."""
    blend: str = ""
    """The blend's name: `gru+2xtcresnet`."""
    facts: dict[str, Any] = field(default_factory=dict)
    """Fields of the ledger's entry (kagglekit.submission.ledger.Entry): models, runs, weights, scores ..."""
    files: dict[str, str] = field(default_factory=dict)
    """SHA-256 of each file by its path below the folder, with /."""
    bytes: int = 0
    """Size of all files."""


@dataclass(frozen=True, kw_only=True)
class RehearsalRecord:
    """What rehearsal.json holds."""

    key: str
    """The build's."""
    minutes: float
    """Expected for the hidden test, on the host."""
    limit: float
    """Minutes that the host allows."""
    recordings: int
    """Number of recordings that `minutes` is for."""
    factor: float
    """Minutes on the host for one minute here."""
    peak_gb: float
    """Largest memory seen here, in GB."""
    clock: dict[str, float]
    """Seconds here of each stage with the large test."""
    outputs: dict[str, str]
    """SHA-256 of the submissions: `visible` and `empty`."""


@dataclass(frozen=True)
class Built:
    """A whole folder."""

    path: Path
    record: BuildRecord

    @property
    def dataset(self) -> Path:
        """The folder of the data set."""
        return self.path / DATASET

    @property
    def kernel(self) -> Path:
        """The folder of the notebook."""
        return self.path / KERNEL

    def rehearsal(self) -> RehearsalRecord | None:
        """Return what the last rehearsal of this build has shown; None without one that passed."""
        try:
            record = shaped(RehearsalRecord, read_json(self.path / REHEARSAL))
        except (OSError, ValueError):
            return None
        return record if record.key == self.record.key else None

    def output(self, name: str) -> Path:
        """Return the submission of the rehearsal `visible` or `empty`; it may not exist."""
        return self.path / OUTPUTS / f"{name}.csv"


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _pushed(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the files that are pushed, by their paths below the folder."""
    for part in (DATASET, KERNEL):
        for path in sorted((folder / part).rglob("*")):
            if path.is_file():
                yield path.relative_to(folder).as_posix(), path


def finish(folder: Path, record: BuildRecord) -> Built:
    """Write build.json, with the hashes of the files that lie in the folder: it marks the folder as whole."""
    files = dict(_pushed(folder))
    record = BuildRecord(
        **{
            **asdict(record),
            "files": {name: sha256_of(path) for name, path in files.items()},
            "bytes": sum(path.stat().st_size for path in files.values()),
        }
    )
    write_json(folder / BUILD, asdict(record))
    return Built(folder, record)


def read_built(folder: Path, *, check: bool = True) -> Built:
    """Read a built folder.

    Args:
        check: whether the files have the bytes that were built.

    Raises:
        MissingError: there is none, or it is not whole.
        KagglekitError: a file has changed since, is gone, or is new.
    """
    try:
        record = shaped(BuildRecord, read_json(folder / BUILD))
    except (OSError, ValueError) as error:
        why = (
            f"it has no {BUILD}" if isinstance(error, FileNotFoundError | NotADirectoryError) else str(error)
        )
        raise MissingError(f"{folder} is no built notebook: {why}", hint=AGAIN) from error
    here = dict(_pushed(folder))
    if changed := sorted(set(here) ^ set(record.files)):
        what = "is new" if changed[0] in here else "is gone"
        raise KagglekitError(f"{folder / changed[0]} {what} since the notebook was built", hint=AGAIN)
    for name, path in here.items() if check else ():
        if sha256_of(path) != record.files[name]:
            raise KagglekitError(f"{path} has changed since the notebook was built", hint=AGAIN)
    return Built(folder, record)
