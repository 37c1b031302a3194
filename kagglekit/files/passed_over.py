"""Count the files beside the recordings: audio that no pattern matches, and what systems have added."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from kagglekit.errors import plural
from kagglekit.files import archive
from kagglekit.files.lookup import MOST_COUNTED
from kagglekit.files.patterns import is_audio, is_junk
from kagglekit.files.resolve import find
from kagglekit.files.trees import Tree
from kagglekit.files.workspace import Workspace


@dataclass
class PassedOver:
    """Files in the archives and folders in which the recordings lie."""

    unmatched: int = 0
    """Audio files, by their endings, that no pattern matches."""
    unmatched_example: str = ""
    added: int = 0
    """Files that operating systems and other programs have added."""
    added_example: str = ""

    def describe(self) -> list[str]:
        """Return a line about the audio files, and one about the others if there are any."""
        such = f", such as {self.unmatched_example}" if self.unmatched else ""
        verb = "matches" if self.unmatched == 1 else "match"
        lines = [f"{plural(self.unmatched, 'audio file')} {verb} no pattern of competition.yaml{such}"]
        if self.added:
            what = plural(self.added, "file")
            lines.append(f"passing over {what} that a system has added, such as {self.added_example}")
        return lines


def passed_over(workspace: Workspace) -> PassedOver:
    """Look through every archive and folder that holds recordings.

    Raises:
        KagglekitError: as kagglekit.files.resolve.list_files, except that nothing need match.
    """
    data = workspace.config.data
    sounds = [(one.files, one.external) for one in data.train]
    sounds += [(one, None) for one in (data.test.files, data.noise, *data.unlabelled) if one is not None]
    matched: dict[tuple[Path, bool], set[str]] = {}
    for pattern, root in sounds:
        for batch in find(workspace, pattern, root, empty_ok=True):
            names = matched.setdefault((batch.source, batch.packed), set())
            names.update(map(batch.name, batch.files))
    left = PassedOver()
    for (source, packed), names in matched.items():
        _count(left, f"{source.name}/" if packed else "", names, _names(source, packed))
    return left


def _names(source: Path, packed: bool) -> Iterable[str]:
    if packed:
        return (member.name for member in archive.listing(source))
    return islice(Tree(source).all_names(), MOST_COUNTED)


def _count(left: PassedOver, prefix: str, matched: set[str], names: Iterable[str]) -> None:
    for name in names:
        if is_junk(name):
            left.added += 1
            left.added_example = left.added_example or prefix + name
        elif is_audio(name) and name not in matched:
            left.unmatched += 1
            left.unmatched_example = left.unmatched_example or prefix + name
