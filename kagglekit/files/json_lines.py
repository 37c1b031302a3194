"""Logs of JSON lines with checksums, and what a kill, a power cut or a bad disk leaves of them."""

import json
import re
from collections.abc import Mapping
from typing import Any

from kagglekit.files.checksums import sealed, unsealed


def line_of(data: Mapping[str, Any]) -> bytes:
    """Return a line of JSON with its checksum.

    Raises:
        ValueError: a number is not finite.
    """
    return json.dumps(sealed(data), separators=(",", ":"), allow_nan=False).encode() + b"\n"


def with_line_end(data: bytes) -> bytes:
    """Return lines of which the last ends: one wrong byte behind a whole record was its line end."""
    end = data[data.rfind(b"\n") + 1 : -1]
    return data[:-1] + b"\n" if end and _is_whole(end) else data


def without_zeros(data: bytes) -> bytes:
    """Remove the zero bytes that a power cut leaves where a file system had not written the data yet.

    A record before them keeps its line where it is whole, and is removed where it is cut off.
    """
    if b"\0" not in data:
        return data
    return re.sub(rb"([^\n\0]*)\0+", lambda run: run[1] + b"\n" if _is_whole(run[1]) else b"", data)


def parsed(text: bytes) -> dict[str, Any] | None:
    """Return the JSON object in a line without its checksum, or None where there is none or it is damaged."""
    try:
        value = json.loads(text.decode("utf-8"))  # json.loads itself would guess UTF-16 and UTF-32
        return unsealed(value) if isinstance(value, dict) else None
    except (ValueError, RecursionError):
        return None


def _is_whole(text: bytes) -> bool:
    return parsed(text) is not None
