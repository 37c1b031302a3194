"""Kills of parents with workers, and Ctrl-C: the quick part of docs/results/kills.md."""

from __future__ import annotations

import random
import signal
import sys
import time
from pathlib import Path

import pytest
from support import kills
from support.kills import CTRL_C, LINES, Line, alive, interrupted, killed, left_over, new_box, shm, started

pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks into /proc")


def cmdline(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # it has ended
        return b""


@pytest.mark.skipif(kills.cores() < 2, reason="needs two cores")
def test_a_searchs_workers_end_with_it(tmp_path: Path) -> None:
    box, scratch = new_box(tmp_path / "line", "prepared")
    command, shared = "tune --model gru --no-train --jobs 2 --trials 4 --set search.epochs=500", shm()
    with started(box, scratch, command) as (process, mark):
        while len([pid for pid in alive(mark) if b"spawn_main" in cmdline(pid)]) < 2:
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        assert kills.until_all_end(process, mark)[1] == 0
    assert left_over(box, scratch, shared) == 0


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("line", LINES, ids=lambda line: line.command.replace(" ", "_"))
def test_kills(line: Line) -> None:
    for seen in killed(line, 4, random.Random(1)):
        assert (seen.alive, seen.bytes, seen.right) == (0, 0, True)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("command", "stage"), CTRL_C, ids=[command.replace(" ", "_") for command, _ in CTRL_C]
)
def test_ctrl_c(command: str, stage: str) -> None:
    for seen in interrupted(command, stage, 1, random.Random(1)):  # seconds are measured on an idle machine
        assert (seen.alive, seen.bytes, seen.right) == (0, 0, True)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals")
def test_ctrl_c_at_the_question() -> None:
    assert kills.at_the_question().right
