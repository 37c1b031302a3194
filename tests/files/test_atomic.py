"""A folder is made whole or not at all, by one process, whatever is killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock, Timeout

from kagglekit.files.atomic import MARKER, building, done_key, read_json, write_json


def build(target: Path, key: str, text: str) -> bool:
    """Whether anything was made."""
    with building(target, key) as part:
        if part is not None:
            (part / "file").write_text(text)
    return part is not None


def test_building(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "made"
    with building(target, "k1") as part:
        assert part is not None and part.parent == target.parent
        (part / "file").write_text("one")
        assert not target.exists()  # whole or not at all
    assert read_json(target / MARKER)["key"] == "k1"
    assert list(read_json(target / MARKER)["files"]) == ["file"]
    assert (target / "file").read_text() == "one" and not part.exists()


def test_the_same_key_is_not_built_again(tmp_path: Path) -> None:
    assert build(tmp_path / "made", "k1", "one")
    assert not build(tmp_path / "made", "k1", "two")
    assert (tmp_path / "made" / "file").read_text() == "one"


def test_another_key_replaces(tmp_path: Path) -> None:
    build(tmp_path / "made", "k1", "one")
    (tmp_path / "made" / "left over").touch()
    assert build(tmp_path / "made", "k2", "two")
    assert done_key(tmp_path / "made") == "k2"
    assert sorted(p.name for p in (tmp_path / "made").iterdir()) == [MARKER, "file"]


def test_failure_leaves_nothing_and_loses_nothing(tmp_path: Path) -> None:
    build(tmp_path / "made", "k1", "one")

    def fails(target: Path) -> None:
        with building(target, "k2") as part:
            assert part is not None
            (part / "file").write_text("half")
            raise OSError("disk")

    for target in (tmp_path / "made", tmp_path / "new"):
        with pytest.raises(OSError, match="disk"):
            fails(target)
    assert (tmp_path / "made" / "file").read_text() == "one" and done_key(tmp_path / "made") == "k1"
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_dir()) == ["home", "made"]


def test_what_a_kill_left_half_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / ".made.part").mkdir()
    (tmp_path / ".made.part" / "stale").touch()
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "file").write_text("no marker")
    assert done_key(tmp_path / "made") is None
    assert build(tmp_path / "made", "k1", "one")
    assert sorted(p.name for p in (tmp_path / "made").iterdir()) == [MARKER, "file"]


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", "null"])
def test_a_damaged_marker_is_no_marker(content: str, tmp_path: Path) -> None:
    (tmp_path / MARKER).write_text(content)
    assert done_key(tmp_path) is None
    assert done_key(tmp_path / "absent") is None


def python(code: str, *args: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *map(str, args)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)


BUILDER = """
import sys
from pathlib import Path
from kagglekit.files.atomic import building
with building(Path(sys.argv[1]), "k1") as part:
    if part is not None:
        (part / "file").write_text("theirs")
        print("building", flush=True)
        sys.stdin.readline()
print("made" if part is not None else "found", flush=True)
"""


def test_a_second_process_waits_and_finds_it_done(tmp_path: Path) -> None:
    first = python(BUILDER, tmp_path / "made")
    assert first.stdout is not None and first.stdout.readline() == "building\n"
    second = python(BUILDER, tmp_path / "made")
    with pytest.raises(subprocess.TimeoutExpired):
        second.communicate(timeout=0.3)  # while the first one builds
    assert first.communicate("go\n") == ("made\n", None)
    assert second.communicate() == ("found\n", None)
    assert (tmp_path / "made" / "file").read_text() == "theirs"


def test_a_kill_in_the_middle_releases_the_lock(tmp_path: Path) -> None:
    first = python(BUILDER, tmp_path / "made")
    assert first.stdout is not None and first.stdout.readline() == "building\n"
    with pytest.raises(Timeout):
        FileLock(tmp_path / "made.lock").acquire(timeout=0)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert not (tmp_path / "made").exists()
    assert build(tmp_path / "made", "k1", "ours")
    assert (tmp_path / "made" / "file").read_text() == "ours"
    assert not list(tmp_path.glob(".made.*"))


def test_write_json_keeps_the_old_file_when_it_fails(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.json"
    write_json(path, {"ü": 1})
    assert path.read_text(encoding="utf-8").startswith('{\n "ü": 1,\n')
    with pytest.raises(TypeError):
        write_json(path, {(1, 2): "no key of JSON"})
    assert read_json(path) == {"ü": 1}


def test_a_kill_before_the_rename_leaves_the_old_file_whole(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("old")
    program = (
        "import os, pathlib, signal, sys\n"
        "from kagglekit.files.atomic import write_bytes\n"
        "os.replace = lambda *names: os.kill(os.getpid(), signal.SIGKILL)\n"
        "write_bytes(pathlib.Path(sys.argv[1]), b'fname,label')\n"
    )
    killed = subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    assert killed.returncode == -signal.SIGKILL and path.read_text() == "old"
