"""Messages on stderr; results on stdout, as text or as JSON. rich is imported when something is shown.

Labels, file names and a host's texts are shown as they are written: never as markup, and control codes as
escapes, so that none of them reaches the terminal.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from kagglekit.terminal import kernel, streams

if TYPE_CHECKING:
    from rich.console import Console


HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control codes but tab and line feed, what turns the direction of writing, and halves of surrogate pairs."""
_HIDDEN_IN_JSON = re.compile("[\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


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


def open_streams() -> None:
    """Let no text stop a command: what a terminal cannot show comes as an escape.

    A terminal may be ASCII, Latin-1 or Windows-1252. A stream that was closed, as by `>&-`, is None.
    """
    for name in ("stdin", "stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None or stream.closed:
            nowhere = open(os.devnull, "r" if name == "stdin" else "w", encoding="utf-8")  # noqa: SIM115
            setattr(sys, name, nowhere)
        elif getattr(stream, "errors", None) in ("strict", "surrogateescape") and name != "stdin":
            stream.reconfigure(errors="backslashreplace")


def visible(text: str) -> str:
    """Return a text as it is shown: without secrets, and with what HIDDEN names as escapes such as \\x1b."""
    return HIDDEN.sub(lambda code: ascii(code[0])[1:-1], without_secrets(text))


@cache
def err() -> Console:
    """Return the rich console of stderr: progress, notes and errors.

    In the kernel of a notebook they go to stdout, as a page shows what comes on stderr as an alarm.
    """
    from rich.console import Console

    if kernel.is_kernel():
        return out()
    return Console(file=streams.lasting(), highlight=False, emoji=False, force_jupyter=False)


@cache
def out() -> Console:
    """Return the rich console of stdout: results, 160 columns wide where stdout is not a terminal."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else 160
    return Console(highlight=False, emoji=False, width=width, force_jupyter=False)


def without_secrets(text: str) -> str:
    """Hide the passwords and signatures of addresses: `postgresql://user:***@host/db`."""
    return _SECRET.sub(lambda secret: f"{secret[1] or secret[2]}***{'@' * bool(secret[1])}", text)


_SECRET = re.compile(
    # to the last @ of the word, as passwords contain : / and @ where nobody has escaped them
    r"""(\b[a-z][\w+.-]*://[^\s:/@'"]*:)[^\s'"]*@|([?&;](?:[\w-]*(?:password|sign(?:ed|ature)|sig|credential|token|key|accessid))=)[^&\s'"]+""",
    re.IGNORECASE,
)


def note(text: str) -> None:
    """Print one line on stderr, unless --quiet."""
    if Mode.send:
        Mode.send(("note", text))
    elif not Mode.quiet:
        err().print(visible(text), markup=False, soft_wrap=True)


def result(data: Mapping[str, Any], lines: Sequence[object]) -> None:
    """Print a verb's result on stdout: `data` as one JSON line with --json, else `lines` as `show` does."""
    event(data)
    show(lines)


def event(data: Mapping[str, Any]) -> None:
    """Print `data` as one JSON line on stdout at once; only with --json."""
    if Mode.json:
        utf8 = (sys.stdout.encoding or "utf-8").lower().startswith("utf")
        text = without_secrets(json.dumps(data, default=str, ensure_ascii=not utf8))
        print(_HIDDEN_IN_JSON.sub(lambda code: f"\\u{ord(code[0]):04x}", text), flush=True)


def show(lines: Sequence[object]) -> None:
    """Print strings (never read as markup) and rich renderables on stdout, unless --json.

    In the kernel of a notebook, what has a `grid` is shown as a table of the page.
    """
    in_kernel = kernel.is_kernel()
    for line in () if Mode.json else lines:
        if in_kernel and isinstance(grid := getattr(line, "grid", None), kernel.Grid):
            kernel.show_table(grid)
        elif isinstance(line, str):
            out().print(visible(line), markup=False, soft_wrap=True)
        else:
            out().print(line)
