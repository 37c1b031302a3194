"""Sort recordings into sets: those of one folder, archive or tree, and what each set is for."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

from kagglekit.competitions.look import Facts
from kagglekit.data.fields import TEST_WORDS, TRAIN_WORDS
from kagglekit.files.patterns import is_archive, is_audio

NOISE = re.compile(r"_?background_?noises?_?", re.IGNORECASE)
OTHER_WORDS = re.compile(r"contest|latest|attest|protest|testimon|strain|terrain")
"""Words in which train or test says nothing."""
MOST_DEPTH = 3


class Group(NamedTuple):
    """Recordings that one pattern names."""

    pattern: str
    paths: list[str]
    role: str
    """train, test, noise, unlabelled, or "" where the names do not say."""
    check: str = ""
    """Why the pattern is a guess."""

    @property
    def in_folders(self) -> bool:
        """Whether each folder may be a class."""
        return self.pattern.rpartition("/")[0].endswith("*")


def role_of(path: str) -> str:
    """Return what the names of a path's folders say: the last one that says anything."""
    for segment in reversed(path.lower().split("/")):
        if NOISE.fullmatch(segment):
            return "noise"
        if "unlabel" in segment:
            return "unlabelled"
        segment = OTHER_WORDS.sub("", segment)
        words = set(re.findall(r"[a-z]+", segment))
        train = "train" in segment or bool(words & TRAIN_WORDS)
        if train != ("test" in segment or bool(words & TEST_WORDS)):
            return "train" if train else "test"
    return ""


def groups(facts: Facts) -> list[Group]:
    """Return the sets of a competition's recordings, the largest first."""
    below: dict[str, list[str]] = defaultdict(list)
    for path in facts.audio:
        below[path.rpartition("/")[0]].append(path)
    for _ in range(MOST_DEPTH):
        below = _joined(below)
    sets = []
    for folder, paths in below.items():
        role = role_of(folder)
        endings = {PurePosixPath(path).suffix.lower() for path in paths}
        ending = "" if folder.lower().endswith(".parquet") or len(endings) > 1 else endings.pop()
        pattern = f"{folder}/*{ending}" if folder else f"*{ending}"
        sets.append(Group(pattern, paths, role))
    for name, size in facts.unread.items():
        gigabytes = "unknown size" if size is None else f"{size / 1e9:.1f} GB"
        why = f"{name} ({gigabytes}) was not looked into; fetch it, then init --force"
        inside = "*" if name.lower().endswith(".parquet") else f"**/*{_guessed_ending(facts)}"
        sets.append(Group(f"{name}/{inside}", [], role_of(name), why))
    return sorted(sets, key=lambda one: -len(one.paths))


def _joined(below: dict[str, list[str]]) -> dict[str, list[str]]:
    """Join folders that lie side by side, such as one for each class."""
    siblings: dict[tuple[str, str], list[str]] = defaultdict(list)
    for folder in below:
        base = folder.removesuffix("/*") if folder.count("/*") == 1 else folder
        tail = folder.removeprefix(base)
        parent, _, name = base.rpartition("/")
        packed = is_archive(name) or name.lower().endswith(".parquet")
        if (
            base
            and not packed
            and not role_of(name.replace("*", ""))
            and (parent or (name != "*" and not tail))
        ):
            siblings[parent, tail].append(folder)
    joined: dict[str, list[str]] = defaultdict(list)
    for (parent, tail), folders in siblings.items():
        if len(folders) > 1:
            for folder in folders:
                joined[f"{parent}/*{tail}" if parent else f"*{tail}"] += below[folder]
    gone = {folder for folders in siblings.values() if len(folders) > 1 for folder in folders}
    return {**{folder: paths for folder, paths in below.items() if folder not in gone}, **joined}


def _ending(paths: Sequence[str]) -> str:
    return Counter(PurePosixPath(path).suffix.lower() for path in paths).most_common(1)[0][0]


def _guessed_ending(facts: Facts) -> str:
    """Return the ending of the names in tables."""
    cells = [
        str(cell) for frame in facts.tables.values() for column in frame.get_columns() for cell in column[:3]
    ]
    return _ending([cell for cell in cells if is_audio(cell)] or facts.audio or ["a.wav"])
