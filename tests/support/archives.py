"""What archives give, and how they are refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from kagglekit.errors import ArchiveError
from kagglekit.files import archive


def content(path: Path, wanted: Callable[[str], bool] = lambda name: True) -> dict[str, bytes]:
    """Return the wanted members of an archive with their bytes."""
    taken: dict[str, bytes] = {}
    archive.stream(
        path,
        lambda member, data: taken.update({member.name: data}),
        lambda members: {m.name for m in members if wanted(m.name)},
    )
    return taken


def refused(path: Path, match: str) -> ArchiveError:
    """Return the error with which an archive is refused, which says so in one line, with a remedy."""
    with pytest.raises(ArchiveError, match=match) as caught:
        archive.members(path)
    assert caught.value.hint and "\n" not in str(caught.value)
    return caught.value
