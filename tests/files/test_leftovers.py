"""What is temporary goes with its process."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from support.searches import until

from kagglekit.errors import KagglekitError
from kagglekit.files.leftovers import leftovers_of, temporary_folder, temporary_name

WRITE = """
import os, signal, sys
from pathlib import Path
from kagglekit.files.atomic import building, replacing
from kagglekit.files.leftovers import temporary_folder
folder = Path(sys.argv[1])
with temporary_folder() as scratch, building(folder / "cache", "key") as part, replacing(folder / "file") as file:
    for path in (scratch, part, file.parent):
        (path / "data").write_bytes(bytes(1000))
        (path / "inner").mkdir()
        (path / "inner" / "link").symlink_to(folder / "mine")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_kill_leaves_nothing_temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, scratch = tmp_path / "folder", tmp_path / "scratch"
    scratch.mkdir()
    (folder / "mine").mkdir(parents=True)
    (folder / "mine" / "kept").touch()
    monkeypatch.setenv("TMPDIR", str(scratch))
    assert subprocess.run([sys.executable, "-c", WRITE, str(folder)], check=False).returncode == -9
    until(lambda: not list(scratch.iterdir()))
    until(lambda: sorted(path.name for path in folder.iterdir()) == ["cache.lock", "mine"])
    assert (folder / "mine" / "kept").exists()


def test_names_are_used_once(tmp_path: Path) -> None:
    path = tmp_path / "[a]" / ("ä" * 120 + ".csv")
    path.parent.mkdir()
    names = {temporary_name(path) for _ in range(3)}
    for name in names:
        name.mkdir()
    temporary_name(path.with_name("other")).mkdir()
    assert set(leftovers_of(path)) == names and len(names) == 3


def test_no_folder_for_temporary_files(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", none)
    with pytest.raises(KagglekitError, match="no folder for temporary files") as caught, temporary_folder():
        pass
    assert caught.value.hint == "set TMPDIR to a folder you can write to"
