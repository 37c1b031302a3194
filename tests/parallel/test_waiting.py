"""Waiting for futures, with Ctrl-C in between."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from kagglekit.parallel.waiting import gather, wait_for

WAIT = """
import os, signal, sys, threading
from concurrent.futures import Future
import polars as pl
from kagglekit.parallel.waiting import gather, wait_for

pl.DataFrame({"a": [1]}).lazy().select(pl.col("a") + 1).collect()  # polars has its handler now
threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    gather([Future()])
except KeyboardInterrupt:
    sys.exit(7)
"""


def test_results_come_in_order() -> None:
    with ThreadPoolExecutor() as pool:
        assert gather([pool.submit(pow, 2, n) for n in range(5)]) == [1, 2, 4, 8, 16]


def test_the_first_error_is_raised() -> None:
    with ThreadPoolExecutor() as pool, pytest.raises(TimeoutError):
        gather([pool.submit(pow, 2, 2), pool.submit(_fail)])


def test_all_are_awaited_though_one_has_failed() -> None:
    done = threading.Event()

    def work() -> None:
        time.sleep(0.3)
        done.set()

    with ThreadPoolExecutor() as pool:
        futures = [pool.submit(_fail), pool.submit(work)]
        wait_for(futures)
        assert done.is_set() and all(future.done() for future in futures)


def _fail() -> int:
    raise TimeoutError


@pytest.mark.skipif(not hasattr(signal, "SIGINT") or sys.platform == "win32", reason="POSIX signals")
def test_ctrl_c_is_seen_beside_the_handler_of_polars() -> None:
    assert subprocess.run([sys.executable, "-c", WAIT], check=False, timeout=60).returncode == 7
