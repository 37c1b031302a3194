"""Failures that kagglekit can explain. Imports nothing of ours."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class KagglekitError(Exception):
    """A failure we can explain.

    Args:
        message: one line: what happened, with the value.
        hint: one line: what to type or check next.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint
        if hint is not None:
            self.add_note(f"hint: {hint}")  # under a traceback, in a script or a notebook


class ConfigError(KagglekitError):
    """competition.yaml, or a --set, says something that cannot be."""


class ArchiveError(KagglekitError):
    """An archive is damaged, unsafe or not an archive."""


class AudioError(KagglekitError):
    """Audio that cannot be used."""


class HostError(KagglekitError):
    """The competition's host refused, failed or could not be reached."""


class SubmissionError(KagglekitError):
    """A submission that must not leave."""


class MissingError(KagglekitError):
    """Something an earlier stage makes is not there yet."""


def close_match(name: str, known: Iterable[str]) -> str:
    """ "; did you mean 'x'?" for the known name nearest to `name`, else the known names."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if near:
        return f"did you mean '{near[0]}'?"
    return "known: " + ", ".join(names)


def plural(count: int, noun: str) -> str:
    """Return "1 file" or "3,000 files"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
