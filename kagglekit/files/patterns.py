"""The paths of competition.yaml: `*` and `?` match in one name, `**` any folders.

Archives are folders. So is a Parquet table of recordings, where a path goes on behind it.
"""

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

from kagglekit.errors import ConfigError
from kagglekit.files.archive import ARCHIVE_SUFFIXES

AUDIO_SUFFIXES = frozenset(
    (
        *(".wav", ".wave", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc", ".au", ".snd"),
        *(".m4a", ".mp4", ".aac", ".caf", ".3gp", ".amr", ".webm", ".wma", ".w64", ".rf64", ".sph"),
    )
)
"""Endings of audio files, which match in any case."""
TABLE_SUFFIXES = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".parquet")
DATASET = "kaggle:"
_JUNK = frozenset(  # in lower case: of macOS, Windows, Synology and QNAP, Linux, Jupyter and others
    (
        *("__macosx", ".ds_store", "icon\r", ".localized", ".appledouble", ".spotlight-v100", ".trashes"),
        *(".fseventsd", ".temporaryitems", ".apdisk", "thumbs.db", "ehthumbs.db", "desktop.ini"),
        *("$recycle.bin", "system volume information", "@eadir", "#recycle", "@recycle", ".@__thumb"),
        *("lost+found", ".directory", ".ipynb_checkpoints", "__pycache__", ".git", ".svn", ".dropbox.cache"),
    )
)
_JUNK_STARTS = ("._", ".trash-", ".nfs", ".fuse_hidden", ".~lock.", "~$")
_JUNK_ENDS = (":zone.identifier",)


class KaggleDataset(NamedTuple):
    """A Kaggle data set."""

    owner: str
    slug: str

    def __str__(self) -> str:
        return f"{DATASET}{self.owner}/{self.slug}"


class Pattern(NamedTuple):
    """A path of competition.yaml."""

    text: str
    dataset: KaggleDataset | None
    """The data set that the path begins with, as in kaggle:OWNER/SLUG/audio/*.ogg."""
    levels: tuple[str, ...]
    """The rest, cut behind each archive: mlsp.zip, essential/data.zip, wavs/*.wav."""

    @property
    def literal(self) -> bool:
        """Whether the path can match one file only."""
        return not has_wildcard(self.text)

    @property
    def beside(self) -> "Pattern | None":
        """The same table beside the archive that the path names; None for other paths."""
        if len(self.levels) == 1 or not self.literal or not self.levels[-1].endswith(TABLE_SUFFIXES):
            return None
        return Pattern(self.levels[-1], self.dataset, self.levels[-1:])

    @property
    def first(self) -> str:
        """The path of the archive, table or tree of files that has to be fetched."""
        return f"{self.dataset}/{self.levels[0]}" if self.dataset else self.levels[0]


def parse(text: str) -> Pattern:
    """Cut a path at its archives.

    Raises:
        ConfigError: it is empty or absolute, leads out of its folder, or lacks the data set's name.
    """
    rest, dataset = text, None
    if text.startswith(DATASET):
        owner, _, rest = text.removeprefix(DATASET).partition("/")
        slug, _, rest = rest.partition("/")
        if not all(re.fullmatch(r"[A-Za-z0-9][\w-]*", name) for name in (owner, slug)):
            raise ConfigError(
                f"'{text}' names no Kaggle data set", hint="write kaggle:OWNER/SLUG/path, as in its address"
            )
        dataset = KaggleDataset(owner, slug)
    segments = rest.removeprefix("./").split("/")
    if any(s in ("", ".", "..") or "\\" in s or ":" in s or not s.isprintable() for s in segments):
        raise ConfigError(
            f"'{text}' is no path inside the competition's files",
            hint="write it with /, from the competition's own folder: train.zip/audio/*.wav",
        )
    if segments[-1] == "**":
        segments.append("*")
    levels: list[list[str]] = [[]]
    for segment in segments[:-1]:
        levels[-1].append(segment)
        if is_archive(segment) or segment.lower().endswith(".parquet"):  # at a path's end, it is a table
            levels.append([])
    levels[-1].append(segments[-1])
    return Pattern(text, dataset, tuple("/".join(level) for level in levels))


def has_wildcard(text: str) -> bool:
    """Tell whether a pattern, or a part of one, can match more than one name."""
    return "*" in text or "?" in text


def is_archive(name: str) -> bool:
    """Tell whether a file's name ends as an archive's does."""
    return name.lower().endswith(ARCHIVE_SUFFIXES)


def without_ending(name: str) -> str:
    """Return an archive's name without its ending: train for train.tar.gz."""
    ending = max((s for s in ARCHIVE_SUFFIXES if name.lower().endswith(s)), key=len, default="")
    return name.removesuffix(name[len(name) - len(ending) :]) if ending else name


@lru_cache(maxsize=1024)
def _is_junk_folder(folder: str) -> bool:
    return any(name in _JUNK or name.startswith(_JUNK_STARTS) for name in folder.lower().split("/"))


def is_junk(path: str) -> bool:
    """Tell whether a system, not a person, has added a file or its folder: __MACOSX/, ._x.wav, Thumbs.db."""
    folder, _, name = path.rpartition("/")
    lower = name.lower()
    if lower in _JUNK or lower.startswith(_JUNK_STARTS) or lower.endswith(_JUNK_ENDS):
        return True
    return bool(folder) and _is_junk_folder(folder)


def is_audio(name: str) -> bool:
    """Tell whether a file's name ends as an audio file's does, in any case."""
    return f".{name.rpartition('.')[2].lower()}" in AUDIO_SUFFIXES


def same_form(name: str) -> str:
    """Return a name in Unicode's form NFC; macOS packs names in NFD."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


@lru_cache(maxsize=256)
def name_expression(name: str) -> re.Pattern[str]:
    """Return what matches one folder's or file's name, in the form NFC, by fullmatch."""
    return re.compile(_name(same_form(name)))


@lru_cache(maxsize=256)
def expression(pattern: str) -> re.Pattern[str]:
    """Return what matches a path without archives, in the form NFC, by fullmatch."""
    *folders, last = same_form(pattern).split("/")
    parts = []
    for before, folder in zip(["", *folders], folders, strict=False):
        if folder != "**":
            parts.append(f"{_name(folder)}/")
        elif before != "**":
            parts.append("(?:[^/]+/)*")
    return re.compile("".join(parts) + _name(last))


def _name(name: str) -> str:
    stem, dot, ending = name.rpartition(".")
    if dot and f".{ending.lower()}" in AUDIO_SUFFIXES:
        return _wild(stem) + rf"\.(?i:{re.escape(ending)})"
    return _wild(name)


def _wild(text: str) -> str:
    parts = re.split(r"(\*+|\?)", text)
    return "".join("[^/]*" if p.startswith("*") else "[^/]" if p == "?" else re.escape(p) for p in parts)
