from __future__ import annotations

from pathlib import Path

import pytest
from filelock import FileLock

from kagglekit.files.locks import locked


def test_locked_is_released_by_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no"), locked(tmp_path / "a" / "b", "b"):
        raise ValueError("no")
    FileLock(tmp_path / "a" / "b.lock").acquire(timeout=0)
