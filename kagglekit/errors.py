"""Exceptions with a message and a hint for users, and helpers for their texts: close matches, plurals."""

import difflib
from collections.abc import Iterable


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
    """Return "did you mean 'x'?" with the closest known name, else "known: " and all names."""
    names = sorted(names)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return f"did you mean '{near[0]}'?" if near else f"known: {', '.join(names)}"


def plural(count: int, noun: str) -> str:
    """Return "1 file" or "3,000 files"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
