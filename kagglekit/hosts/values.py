"""Read values in kagglesdk's replies."""

import math
from datetime import UTC, datetime
from typing import Any


def utc(moment: datetime | None) -> datetime | None:
    """Add the time zone: the client returns UTC without one."""
    return None if moment is None else moment.replace(tzinfo=UTC)


def size(listed: Any) -> int | None:
    """Read a size in bytes: the client passes on text as it is, and returns 0 where Kaggle gives none."""
    try:
        return int(listed) if int(listed) > 0 else None
    except (TypeError, ValueError, OverflowError):
        return None


def number(score: str | None) -> float | None:
    """Parse a score: the client returns text, empty while there is no score, and sometimes "NaN"."""
    try:
        value = float(score or "nan")
    except ValueError:
        return None
    return value if math.isfinite(value) else None
