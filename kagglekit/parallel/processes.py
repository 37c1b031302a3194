"""Several trainings at once, each in a process of its own with its share of the cores.

On a CPU, small networks train faster so: two threads of one training wait for each other in every
layer, two trainings do not (docs/LOG.md: 1.2 to 1.6 times as fast on two cores).
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

from kagglekit.errors import KagglekitError
from kagglekit.terminal import progress

CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")  # of a container: "quota period" in microseconds, or "max period"
Job = TypeVar("Job")
Result = TypeVar("Result")


def cores() -> int:
    """Cores that this process may use: those it may be put on, less what a container's quota holds back."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = CPU_QUOTA.read_text(encoding="ascii").split()
        return max(min(count, -(-int(quota) // int(period))), 1)
    except (OSError, ValueError):  # no container, or no quota
        return count


def run_all(function: Callable[[Job], Result], jobs: Sequence[Job], processes: int) -> list[Result]:
    """`[function(job) for job in jobs]`, so many at a time, each in its own process.

    Bars and notes of the processes are shown here. When this process ends, however it does, they end
    at once, in the middle of whatever they do.

    Args:
        function: of a module, as jobs and results can be pickled.
        jobs: handed out in their order.
        processes: at a time; each gets so many threads that all cores are used.

    Raises:
        KagglekitError: a process was killed.
        Exception: the first that `function` raised; jobs under way are given up.
    """
    context = multiprocessing.get_context("spawn")
    alive, ours = context.Pipe(duplex=False)
    messages = context.SimpleQueue()
    threads = max(cores() // processes, 1)
    listener = threading.Thread(target=progress.relay, args=(messages.get,), daemon=True)
    listener.start()
    pool = ProcessPoolExecutor(processes, context, _begin, (threads, alive, messages))
    try:
        return list(pool.map(function, jobs))
    except BrokenProcessPool as error:
        raise KagglekitError(
            f"one of {processes} processes was killed from outside, perhaps for want of memory",
            hint="run the same command again with --set jobs=1",
        ) from error
    finally:
        ours.close()  # they see it, and end
        pool.shutdown(cancel_futures=True)
        messages.put(None)
        listener.join()
        alive.close()


def _begin(threads: int, alive: Connection, messages: Any) -> None:
    """The first thing in a new process. NumPy and torch are not imported yet, and read the environment."""
    import signal

    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(threads)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent too, which ends us
    progress.send_to(messages.put)
    threading.Thread(target=_end_with, args=(alive,), daemon=True).start()


def _end_with(alive: Connection) -> None:
    """Wait until the parent is gone or has had enough. Any moment is fine: files are renamed when whole."""
    alive.poll(None)
    os._exit(1)
