"""A stderr that may break while a command runs: its terminal is closed, or `head` has read enough."""

import sys
from collections.abc import Callable, Iterable
from typing import Any, TextIO, cast


class _LastingStream:
    """Whatever sys.stderr is at the time; a terminal or reader that has gone does not end the work."""

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.stderr, name)

    def write(self, text: str) -> int:
        _try(sys.stderr.write, text)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        _try(sys.stderr.writelines, lines)

    def flush(self) -> None:
        _try(sys.stderr.flush)


def _try(function: Callable[..., object], *arguments: object) -> None:
    try:
        function(*arguments)
    except (OSError, ValueError) as error:  # ValueError: closed
        if isinstance(error, UnicodeError):
            raise


def lasting() -> TextIO:
    """Return sys.stderr as a stream that never fails because nobody reads any more."""
    return cast(TextIO, _LastingStream())
