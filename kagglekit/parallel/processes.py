"""Run several jobs at once, each in its own process with its share of the cores.

Small networks train faster this way on a CPU: the threads of one training wait for each other in every
layer, two trainings do not (docs/LOG.md: 1.2 to 1.6 times as fast on two cores).
"""

import os
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

from kagglekit.parallel.children import FAILURE, RESULT, Child, result_of, wait_for_one
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


def share_of_cores(processes: int) -> dict[str, str]:
    """Return the variables that give one of several processes its share of the cores."""
    threads = str(max(cores() // processes, 1))
    return dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), threads)


def run_all(
    function: Callable[[Job], Result],
    jobs: Sequence[Job],
    processes: int,
    done: Callable[[Result], None] = lambda result: None,
) -> list[Result]:
    """Return `[function(job) for job in jobs]`, computed in several processes.

    This process shows the progress bars and messages of the others. When it ends for any reason, they
    end at once, too.

    Args:
        function: a module-level function; jobs and results must be picklable.
        jobs: started in this order.
        processes: how many run at a time; together their threads use all cores.
        done: called in this process with each result as it comes.

    Raises:
        NoProcessError: no process can be started; nothing has been done.
        LostError: a process was killed.
        Exception: the first that `function` raised; running jobs are cancelled.
    """
    waiting = deque(enumerate(jobs))
    results: dict[int, Result] = {}
    working: dict[Child, int] = {}
    with ExitStack() as stack:
        relay = stack.enter_context(progress.Relay())
        children = []
        for _ in range(min(processes, len(jobs))):
            children.append(Child(share_of_cores(processes)))
            stack.callback(children[-1].end)

        def next_job(child: Child) -> None:
            if waiting:
                working[child], job = waiting.popleft()
                child.call(function, job)

        for child in children:
            next_job(child)
        while working:
            for child in wait_for_one(working):
                message = child.receive()
                if message[0] in (RESULT, FAILURE):
                    result = results[working.pop(child)] = result_of(message)
                    done(result)
                    next_job(child)
                else:
                    relay.show(message)
    return [results[number] for number in range(len(jobs))]
