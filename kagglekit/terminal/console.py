"""Messages on stderr; results on stdout, as text or as JSON. rich is imported when something is shown."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console


class Mode:
    """How output is shown in this process."""

    quiet = False
    json = False
    send: Callable[[Any], None] | None = None
    """Set in worker processes: sends notes and bars to the parent process, which shows them."""


def configure(*, quiet: bool = False, json_output: bool = False) -> None:
    """Set the output mode; `cli.main` does so once. With `json_output` stdout holds JSON alone."""
    Mode.quiet = quiet
    Mode.json = json_output


@cache
def err() -> Console:
    """Return the rich console of stderr: progress, notes and errors."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, emoji=False)


@cache
def out() -> Console:
    """Return the rich console of stdout: results, 160 columns wide where stdout is not a terminal."""
    from rich.console import Console

    return Console(highlight=False, emoji=False, width=None if sys.stdout.isatty() else 160)


def without_secrets(text: str) -> str:
    """Hide the passwords and signatures of addresses: `postgresql://user:***@host/db`."""
    return _SECRET.sub(lambda secret: f"{secret[1] or secret[2]}***{'@' * bool(secret[1])}", text)


_SECRET = re.compile(
    # to the last @ of the word, as passwords contain : / and @ where nobody has escaped them
    r"""(\b[a-z][\w+.-]*://[^\s:/@'"]*:)[^\s'"]*@|([?&;](?:[\w-]*(?:password|signature|credential|token))=)[^&\s'"]+""",
    re.IGNORECASE,
)


def note(text: str) -> None:
    """Print one line on stderr, unless --quiet."""
    text = without_secrets(text)
    if Mode.send:
        Mode.send(("note", text))
    elif not Mode.quiet:
        err().print(text, markup=False, soft_wrap=True)


def result(data: Mapping[str, Any], lines: Sequence[object]) -> None:
    """Print a verb's result on stdout: `data` as one JSON line with --json, else `lines` as `show` does."""
    event(data)
    show(lines)


def event(data: Mapping[str, Any]) -> None:
    """Print `data` as one JSON line on stdout at once; only with --json."""
    if Mode.json:
        print(without_secrets(json.dumps(data, default=str, ensure_ascii=False)), flush=True)


def show(lines: Sequence[object]) -> None:
    """Print strings (never read as markup) and rich renderables on stdout, unless --json."""
    for line in () if Mode.json else lines:
        if isinstance(line, str):
            out().print(without_secrets(line), markup=False, soft_wrap=True)
        else:
            out().print(line)
