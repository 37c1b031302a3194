"""One search in several processes of this machine: each has its share of the cores, or a GPU of its own."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from multiprocessing.queues import SimpleQueue

import torch

from kagglekit.config import Config
from kagglekit.data.prepare import prepare
from kagglekit.errors import ConfigError, KagglekitError
from kagglekit.files.workspace import Workspace
from kagglekit.parallel.processes import cores
from kagglekit.search.study import open_desk
from kagglekit.search.tune import Limits, Worker, work
from kagglekit.terminal import console
from kagglekit.training.plan import resolve

LOOK_S = 0.3  # between looks at the processes
STARTS = 4  # of a process that is killed again and again, as it is where memory runs out
Failures = SimpleQueue[tuple[str, str | None]]
"""(message, hint) of a process that gave up."""


def check_jobs(jobs: int) -> None:
    """Raise ConfigError where there are fewer cores, or GPUs, than jobs."""
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    most, of = (gpus, "GPUs") if gpus else (cores(), "cores")
    if not 1 <= jobs <= most:
        raise ConfigError(f"--jobs {jobs}: this machine has {most} {of}", hint=f"use 1 to {most}")


def search_in_processes(
    config: Config, model: str, limits: Limits, jobs: int, over: Callable[[], bool]
) -> None:
    """Search with `jobs` processes until it is over.

    A process that is killed, by the kernel for want of memory for instance, is started again, and its
    trial is tried again. When this process dies, the others end after their epoch.

    Args:
        config, model, limits: of the search.
        jobs: processes.
        over: shows what has ended, and says whether the search is over.

    Raises:
        ConfigError: there are fewer cores, or GPUs, than jobs.
        KagglekitError: a process gave up.
    """
    check_jobs(jobs)
    context = multiprocessing.get_context("spawn")
    failures: Failures = context.SimpleQueue()

    def start(index: int) -> BaseProcess:
        process = context.Process(
            target=_work, args=(config, model, limits, jobs, index, os.getpid(), failures)
        )
        process.start()
        return process

    processes = [start(index) for index in range(jobs)]
    starts = jobs
    try:
        while any(process.is_alive() for process in processes):
            time.sleep(LOOK_S)
            if over():
                continue
            for index, process in enumerate(processes):
                number = -(process.exitcode or 0)  # of the signal that ended it
                if number <= 0:
                    continue
                if starts == jobs * STARTS:
                    raise KagglekitError(
                        f"processes of the search are killed again and again (signal {number})",
                        hint="memory may be short: use fewer --jobs, or a smaller train.batch_size",
                    )
                console.note(f"a process was killed (signal {number}); another takes its place")
                processes[index] = start(index)
                starts += 1
    finally:
        _end(processes)
    over()
    if not failures.empty():
        message, hint = failures.get()
        raise KagglekitError(message, hint=hint)


def _end(processes: list[BaseProcess]) -> None:
    """Let each finish what it says about its trial."""
    for process in processes:
        if process.is_alive() and process.pid is not None:
            os.kill(process.pid, signal.SIGINT)
    for process in processes:
        process.join()


def _work(
    config: Config, model: str, limits: Limits, jobs: int, index: int, parent: int, failures: Failures
) -> None:
    """What one process does."""
    signal.signal(signal.SIGINT, _interrupt_once)
    if torch.cuda.is_available():
        os.environ["CUDA_VISIBLE_DEVICES"] = str(index)
    torch.set_num_threads(max(cores() // jobs, 1))
    console.configure(quiet=True)
    try:
        workspace = Workspace(config)
        prepared = prepare(workspace)
        with open_desk(prepared, resolve(config, model)) as desk:
            work(Worker(prepared, desk, limits, parent), lambda: None)
    except KeyboardInterrupt:
        pass
    except Exception as error:
        failures.put((str(error) or type(error).__name__, getattr(error, "hint", None)))


def _interrupt_once(*_: object) -> None:
    """The terminal and the parent both send SIGINT: the second must not disturb what the first began."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt
