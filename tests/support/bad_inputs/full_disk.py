"""A disk that fills up."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from support.bad_box import Box
from support.bad_inputs.case import NotHereError, section

case = section("A full disk")
FILLER = "filler"


@contextmanager
def small_disk(box: Box, size: str) -> Iterator[None]:
    """The workspace on a disk of its own."""
    if os.geteuid() != 0 or sys.platform != "linux":
        raise NotHereError("needs root on Linux, to mount a tmpfs")
    aside = box.folder / "aside"
    box.workspace.rename(aside) if box.workspace.is_dir() else aside.mkdir()
    box.workspace.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(box.workspace)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        raise NotHereError(f"mount: {mounted.stderr.decode().strip()}")
    try:
        shutil.copytree(aside, box.workspace, dirs_exist_ok=True)
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(box.workspace)], check=True)


def _fill(box: Box, left: int) -> None:
    """Leave so many bytes."""
    filler = box.workspace / FILLER
    free = shutil.disk_usage(box.workspace).free
    filler.write_bytes(bytes(max(free - left, 0)))


@case("during fetch")
def _full_fetch(box: Box) -> None:
    with small_disk(box, "1m"):
        box.bad("fetch", "not enough disk space for 3 files", "free some space, or set `workspace:`")
        subprocess.run(["mount", "-o", "remount,size=80m", str(box.workspace)], check=True)
        box.good("fetch")


def disk_case(stage_name: str, stage: str, command: str, left: int) -> None:
    """A case of a disk that fills up in a command, which then goes on once there is room."""

    def damage(box: Box) -> None:
        with small_disk(box, "16m"):
            _fill(box, left)
            box.bad(command, "the disk is full", "free some space and run the same command again")
            (box.workspace / FILLER).unlink()
            box.good(command)

    case(f"during {stage_name}", stage)(damage)


disk_case("prepare", "fetched", "prepare", 200_000)
disk_case("prepare, of silence or the table", "fetched", "prepare", 700_000)
disk_case("features", "prepared", "features", 60_000)
disk_case("train, of the weights", "trained", "train --model tcresnet --set train.seed=1", 100_000)
disk_case("train, of the predictions", "trained", "train --model gru --set train.seed=1", 46_000 + 4096)
disk_case("train, of the first file", "trained", "train --model gru --set train.seed=1", 0)
disk_case("tune", "trained", "tune --model gru --no-train --trials 1", 0)
disk_case("ensemble", "trained", "ensemble", 0)
