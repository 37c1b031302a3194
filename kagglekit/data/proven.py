"""Prove the lengths that audio.store: source takes from headers: decode every recording as a whole.

What has been found to be of another length is remembered by its SHA-1, and `prepare` decodes it from then on.
"""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from kagglekit.data.audit import SHA1_DIGITS
from kagglekit.data.clip_writers import WEIGHT
from kagglekit.data.decode import LENGTH_TOLERANCE, decode_recording
from kagglekit.data.ingest import FACTS_FILE, STORE
from kagglekit.data.sound_file import Sound
from kagglekit.data.source_file import look
from kagglekit.data.source_store import SourceStore
from kagglekit.data.store import open_store
from kagglekit.files import parquet
from kagglekit.files.atomic import read_json, write_json
from kagglekit.files.workspace import Workspace
from kagglekit.parallel.in_order import InOrder
from kagglekit.terminal import progress

_UNSEEN = ("damaged", "antiphase")  # flags of kagglekit.data.decode that a header does not show


class FalseLength(NamedTuple):
    """A recording that is not as long as its header says."""

    path: str
    said: float
    """Seconds."""
    decoded: float


class Proof(NamedTuple):
    """What decoding has shown."""

    recordings: int
    differing: list[FalseLength]
    flags: dict[str, int]
    """Number of recordings for each flag that headers do not show: damaged, antiphase."""

    def describe(self) -> str:
        """Count the recordings, and name one that differs."""
        if not self.recordings:
            return "every recording was decoded by prepare"
        shown = "".join(f"; {count:,} {flag}" for flag, count in sorted(self.flags.items()))
        if not self.differing:
            return f"{self.recordings:,} recordings decoded, all as long as their headers say{shown}"
        one, count = self.differing[0], len(self.differing)
        return (
            f"{count:,} of {self.recordings:,} recordings are not as long as their headers say: "
            f"{one.path} says {one.said:.2f} s, decoded {one.decoded:.2f} s{shown}"
        )


def false_lengths(workspace: Workspace) -> list[str]:
    """Return the SHA-1 of the recordings whose headers are known to be wrong, sorted."""
    if workspace.config.audio.store != "source":
        return []
    try:
        return sorted(map(str, read_json(_path(workspace))["sha1"]))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return []


def remember(workspace: Workspace, sha1: list[str]) -> None:
    """Add recordings to `false_lengths`."""
    if sha1:
        write_json(_path(workspace), {"sha1": sorted({*false_lengths(workspace), *sha1})})


def _path(workspace: Workspace) -> Path:
    return workspace.audio / "false_lengths.json"


def prove(workspace: Workspace, folders: Iterable[Path]) -> Proof:
    """Decode the recordings of stores on all cores, and remember those that are not as their headers say.

    Args:
        folders: what `ingest` has made; stores of decoded clips need no proof.

    Raises:
        KagglekitError: a store is damaged.
    """
    count, differing, flags = 0, [], Counter[str]()
    for folder in folders:
        store = open_store(folder / STORE)
        if isinstance(store, SourceStore):
            count += len(store.paths)
            differing += _differing(store, folder, flags)
    remember(workspace, [sha1 for _, sha1 in differing])
    return Proof(count, [one for one, _ in differing], dict(flags))


def _differing(store: SourceStore, folder: Path, flags: Counter[str]) -> list[tuple[FalseLength, str]]:
    """Return the recordings of another length than their header says, each with its SHA-1; count flags."""
    found: list[FalseLength] = []

    def check(recording: tuple[str, bytes]) -> tuple[FalseLength | None, Sound]:
        path, content = recording
        rate, said = store.audio.sample_rate, look(content, store.audio).samples
        pcm, sound = decode_recording(content, store.audio)
        if not len(pcm) and "unreadable" in sound.flags:
            return None, sound  # it is too long to be decoded as a whole
        differs = abs(said - len(pcm)) > LENGTH_TOLERANCE * rate
        return FalseLength(path, said / rate, len(pcm) / rate) if differs else None, sound

    def add(checked: tuple[FalseLength | None, Sound]) -> None:
        false, sound = checked
        found.extend([false] if false else [])
        flags.update(flag for flag in sound.flags if flag in _UNSEEN)
        advance(1)

    name = f"decode {folder.name.partition('-')[0]}"
    with (
        progress.bar(name, total=len(store.paths), unit="files") as advance,
        InOrder(check, add) as recordings,
    ):
        for path, content in store.recordings():
            recordings.put((path, content), WEIGHT * len(content))
    facts = parquet.read(folder / FACTS_FILE, f"remove the folder {folder} and prepare again").unique("path")
    sha1 = dict(facts.select("path", "sha1").iter_rows())
    return [(false, sha1[false.path][:SHA1_DIGITS]) for false in found]
