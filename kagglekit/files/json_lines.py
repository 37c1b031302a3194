"""Logs of JSON lines, as a kill or a power cut leaves them."""

import json
import re
from typing import Any


def without_zeros(data: bytes) -> bytes:
    """Remove the zero bytes that a power cut leaves where a file system had not written the data yet.

    A record before them keeps its line where it is whole, and is removed where it is cut off.
    """
    if b"\0" not in data:
        return data
    return re.sub(rb"([^\n\0]*)\0+", lambda run: run[1] + b"\n" if _is_whole(run[1]) else b"", data)


def parsed(text: bytes) -> dict[str, Any] | None:
    """Return the JSON object in a line, or None where there is none."""
    try:
        value = json.loads(text.decode("utf-8"))  # json.loads itself would guess UTF-16 and UTF-32
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _is_whole(text: bytes) -> bool:
    return parsed(text) is not None
