"""What is the machine's fault, in whatever error it comes."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from kagglekit.errors import KagglekitError
from kagglekit.files import faults
from kagglekit.files.atomic import building, replacing
from kagglekit.files.faults import MachineError, explain, is_fault

AGAIN = "run the same command again; nothing is lost"


@pytest.mark.parametrize(
    ("error", "message", "hint"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device"),
            "the disk is full",
            f"free some space and {AGAIN}",
        ),
        (OSError(errno.EDQUOT, "Quota"), "the disk quota is used up", f"free some space and {AGAIN}"),
        (OSError(errno.EFBIG, "File too large"), "a file is larger than", f"allow larger files and {AGAIN}"),
        (OSError(errno.EIO, "I/O"), "the disk fails: Input/output error", "check the disk or its connection"),
        (OSError(errno.EMFILE, "many"), "too many files are open", "ulimit -n 4096"),
        # as polars, safetensors, Arrow and SQLite pass them on
        (RuntimeError("No space left on device (os error 28)"), "the disk is full", "free some space"),
        (ValueError("I/O error: Quota exceeded (os error 122)"), "the disk quota is used up", "free"),
        (RuntimeError("[Errno 27] Error writing bytes. Detail: [errno 27]"), "a file is larger", "allow"),
        (RuntimeError("(sqlite3.OperationalError) database or disk is full"), "the disk is full", "free"),
    ],
)
def test_the_disk(error: Exception, message: str, hint: str, tmp_path: Path) -> None:
    said = explain(error, tmp_path)
    assert said is not None and str(said).startswith(message) and hint in (said.hint or "")
    assert str(tmp_path) in str(said) and is_fault(error) and is_fault(said)
    if "allow" in hint or "free" in hint:
        assert " free in " in str(said)


def test_a_cause_counts() -> None:
    error = RuntimeError("storage")
    error.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    assert is_fault(error)


@pytest.mark.parametrize("error", [ValueError("epoch 28"), KagglekitError("the loss is not finite")])
def test_others_are_not_the_machines(error: Exception) -> None:
    assert not is_fault(error) and explain(error) is None


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_writing_names_the_folder(number: int, tmp_path: Path) -> None:
    target = tmp_path / "a" / "b.json"
    with pytest.raises(MachineError, match=str(tmp_path / "a")), replacing(target):
        raise RuntimeError(f"(os error {number})")
    with pytest.raises(MachineError, match=str(tmp_path / "a")), building(tmp_path / "a" / "c", "key"):
        raise OSError(number, os.strerror(number))
    assert [path.name for path in (tmp_path / "a").iterdir() if path.suffix != ".lock"] == []


def test_a_disk_without_room_for_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = os.statvfs(tmp_path)
    full = os.statvfs_result([*usual[:5], 10, 0, 0, *usual[8:10]])
    monkeypatch.setattr(faults.os, "statvfs", lambda _: full)
    said = explain(OSError(errno.ENOSPC, ""), tmp_path)
    assert said is not None and "and room for no more files" in str(said)
