"""Run several jobs at once, each in its own process with its share of the cores.

Small networks train faster this way on a CPU: the threads of one training wait for each other in every
layer, two trainings do not (docs/LOG.md: 1.2 to 1.6 times as fast on two cores).
"""

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
from kagglekit.parallel.waiting import gather
from kagglekit.terminal import progress

CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")  # a container's "quota period" in microseconds, or "max period"
Job = TypeVar("Job")
Result = TypeVar("Result")


def cores() -> int:
    """Return how many cores this process may use, by its CPU affinity and its container's quota."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = CPU_QUOTA.read_text(encoding="ascii").split()
        return max(min(count, -(-int(quota) // int(period))), 1)
    except (OSError, ValueError):  # no container, or no quota
        return count


def run_all(function: Callable[[Job], Result], jobs: Sequence[Job], processes: int) -> list[Result]:
    """Return `[function(job) for job in jobs]`, computed in several processes.

    This process shows the progress bars and messages of the others. When it ends for any reason, they
    end at once, too.

    Args:
        function: a module-level function; jobs and results must be picklable.
        jobs: started in this order.
        processes: how many run at a time; together their threads use all cores.

    Raises:
        KagglekitError: a process was killed.
        Exception: the first that `function` raised; running jobs are cancelled.
    """
    context = multiprocessing.get_context("spawn")
    alive, parent_end = context.Pipe(duplex=False)
    messages = context.SimpleQueue()
    threads = max(cores() // processes, 1)
    listener = threading.Thread(target=progress.relay, args=(messages.get,), daemon=True)
    listener.start()
    pool = ProcessPoolExecutor(processes, context, _set_up, (threads, alive, messages))
    try:
        return gather([pool.submit(function, job) for job in jobs])
    except BrokenProcessPool as error:
        raise KagglekitError(
            f"one of {processes} processes was killed, perhaps because memory ran out",
            hint="run the same command again with --set jobs=1",
        ) from error
    finally:
        parent_end.close()  # tells the processes to end
        pool.shutdown(cancel_futures=True)
        messages.put(None)
        listener.join()
        alive.close()


def _set_up(threads: int, alive: Connection, messages: Any) -> None:
    """Set up a new process, before NumPy and torch are imported and read the environment."""
    import signal

    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(threads)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent receives Ctrl-C, too, and ends this process
    progress.send_to(messages.put)
    threading.Thread(target=_end_with_parent, args=(alive,), daemon=True).start()


def _end_with_parent(alive: Connection) -> None:
    """End this process when the parent closes its pipe; files are written atomically, so any time is safe."""
    alive.poll(None)
    os._exit(1)
