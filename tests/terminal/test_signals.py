"""Signals end a process: by an exception, or by force."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

START = """
import os, signal, sys, threading, time
from kagglekit.terminal import signals
signals.hear()
def send(number=signal.{name}):
    threading.Timer(0.2, os.kill, (os.getpid(), number)).start()
"""
AT_WORK = """
try:
    send()
    threading.Lock().acquire() and threading.Event().wait()
except KeyboardInterrupt as stop:
    signals.stop(signals.cause(stop))
"""
SWALLOWED = """
send()
while True:
    try:
        time.sleep(60)
    except BaseException:
        pass
"""
TWICE = """
signals.GRACE_S = 1000
send()
send()
while True:
    try:
        time.sleep(60)
    except BaseException:
        send()
"""
BESIDE_POLARS = """
import polars as pl
pl.DataFrame({"a": [1]}).lazy().select(pl.col("a") + 1).collect()  # polars has its handler now
try:
    send()
    sys.stdin.readline()  # which a handler with SA_RESTART lets go on
except KeyboardInterrupt as stop:
    signals.stop(signals.cause(stop))
"""


MADE_ANOTHER = """
from kagglekit import cli
from kagglekit.commands import leaderboard
def run(args):
    send()
    try:
        time.sleep(60)
    except KeyboardInterrupt:
        raise ImportError("At: library.py(7): <module>")  # as libraries in C++ do
leaderboard.run = run
sys.exit(cli.main(["leaderboard"]))
"""
TIDYING_UP = """
import atexit
atexit.register(time.sleep, 60)
send()
sys.exit(signals.done(7))
"""
TAKEN_DOWN = """
class Last:
    def __del__(self, kill=os.kill, pid=os.getpid(), number=signal.SIGINT):
        kill(pid, number)
last = Last()
sys.exit(signals.done(7))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize(
    ("name", "work", "by"),
    [
        ("SIGINT", AT_WORK, ""),
        ("SIGTERM", AT_WORK, " by SIGTERM"),
        ("SIGHUP", AT_WORK, " by SIGHUP"),
        ("SIGINT", SWALLOWED, ""),
        ("SIGINT", TWICE, ""),
        ("SIGINT", BESIDE_POLARS, ""),
        ("SIGTERM", MADE_ANOTHER, " by SIGTERM"),
    ],
    ids=["at-work", "sigterm", "sighup", "swallowed", "twice", "beside-polars", "made-another"],
)
def test_a_signal_ends_the_process(name: str, work: str, by: str) -> None:
    code = START.replace("{name}", name) + work
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        assert process.stderr is not None
        said = process.stderr.read()
        assert process.wait(60) == 128 + getattr(signal, name)
    assert said == f"stopped{by}\nhint:  nothing is lost: the same command goes on from here\n"


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("work", [TIDYING_UP, TAKEN_DOWN], ids=["tidying-up", "taken-down"])
def test_a_signal_changes_no_command_that_is_done(work: str) -> None:
    code = START.replace("{name}", "SIGINT") + work
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, timeout=60)
    assert (ended.returncode, ended.stderr) == (7, b"")


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_what_nohup_ignores_stays_ignored() -> None:
    code = f"import signal\nsignal.signal(signal.SIGHUP, signal.SIG_IGN){START.replace('{name}', 'SIGHUP')}"
    code += "send()\ntime.sleep(0.6)\nsys.exit(7)"
    begin = time.monotonic()
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 7
    assert time.monotonic() - begin > 0.6
