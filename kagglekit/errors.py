"""Exceptions with a message and a hint for users, and helpers for their texts: close matches, plurals."""

import difflib
from collections.abc import Iterable

MAX_NEAR = 100
"""Most characters of a name that close matches are looked for."""
MAX_LISTED = 600
"""Most characters of a list in a message."""


class KagglekitError(Exception):
    """A failure that we can explain.

    Args:
        message: what happened, with the value, in one line.
        hint: what to type or check next, in one line.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint
        if hint is not None:
            self.add_note(f"hint: {hint}")  # shown under a traceback in a script or notebook


class ConfigError(KagglekitError):
    """A setting in competition.yaml or --set, or an option, is missing or invalid."""


class ArchiveError(KagglekitError):
    """An archive is damaged or unsafe, or the file is not an archive."""


class TableError(KagglekitError):
    """A table that a user or a host gives cannot be read, or does not say what it must."""


class AudioError(KagglekitError):
    """Audio cannot be decoded, or is too short or empty."""


class HostError(KagglekitError):
    """The competition's host refused a request, failed or could not be reached."""


class SubmissionError(KagglekitError):
    """A submission is invalid and is not sent."""


class MissingError(KagglekitError):
    """The output of an earlier stage is missing or cannot be read."""


class DamagedCacheError(KagglekitError):
    """A file that can be computed again is damaged; the next try makes it again."""


def close_match(name: str, names: Iterable[str]) -> str:
    """Return "did you mean 'x'?" with the closest known name, else "known: " and the names."""
    names = sorted(names)
    # of a longer name the similarity takes minutes, and a shorter one is never near
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6) if len(name) <= MAX_NEAR else []
    return f"did you mean '{near[0]}'?" if near else f"known: {listed(names)}"


def listed(names: Iterable[object], most: int = 20) -> str:
    """Return "a, b, c", of many names or long ones the first ones: "a, b ... (1,000)"."""
    words = [str(name) for name in names]
    shown = words[:most]
    while len(shown) > 1 and sum(map(len, shown)) > MAX_LISTED:
        shown = shown[: len(shown) // 2]
    text = ", ".join(shorten(word) for word in shown)
    return text if len(shown) == len(words) else f"{text} ... ({len(words):,})"


def shorten(text: str, most: int = 200) -> str:
    """Return a text, of a long one the beginning and its length."""
    return text if len(text) <= most else f"{text[:most]}... ({len(text):,} characters)"


def plural(count: int, noun: str) -> str:
    """Return "1 file" or "3,000 files"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
