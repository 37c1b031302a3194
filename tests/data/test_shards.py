"""The folder in which a node of a cluster keeps clips."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

import pytest

from kagglekit.data.shards import private_folder
from kagglekit.errors import KagglekitError


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path / f"kagglekit-{os.getuid()}"


def test_only_this_user_can_read_it(place: Path) -> None:
    before = os.umask(0)
    try:
        assert private_folder() == private_folder() == place
    finally:
        os.umask(before)
    assert stat.S_IMODE(place.stat().st_mode) == 0o700


@pytest.mark.parametrize("kind", ["link", "file", "open"])
def test_what_somebody_else_may_have_put_there_is_refused(place: Path, kind: str) -> None:
    if kind == "link":
        (place.parent / "theirs").mkdir(mode=0o700)
        place.symlink_to(place.parent / "theirs")
    elif kind == "file":
        place.touch(mode=0o600)
    else:
        place.mkdir()
        place.chmod(0o770)
    with pytest.raises(KagglekitError, match="is not a private folder") as caught:
        private_folder()
    assert "TMPDIR" in str(caught.value.hint)
