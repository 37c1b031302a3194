"""Search with several processes on this machine, each with its share of the cores, or its own GPU."""

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
from kagglekit.errors import ConfigError, KagglekitError, plural
from kagglekit.files.workspace import Workspace
from kagglekit.parallel.processes import cores
from kagglekit.search.limits import SearchLimits
from kagglekit.search.study import StudyHandle, open_study
from kagglekit.search.worker import run_trials
from kagglekit.terminal import console
from kagglekit.training.plan import resolve

LOOK_S = 0.3  # between looks at the processes
STARTS = 4  # per process, for those that are killed, for example where memory runs out
Failures = SimpleQueue[tuple[str, str | None]]
"""(message, hint) of processes that failed."""


def check_jobs(jobs: int) -> None:
    """Raise ConfigError where the machine has fewer cores, or GPUs, than `jobs`."""
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    most, what = (gpus, "GPU") if gpus else (cores(), "core")
    if not 1 <= jobs <= most:
        raise ConfigError(f"--jobs {jobs}: this machine has {plural(most, what)}", hint=f"use 1 to {most}")


def search_in_processes(
    handle: StudyHandle, limits: SearchLimits, jobs: int, show: Callable[[], None]
) -> None:
    """Search with `jobs` processes until the search is over.

    A process that is killed, for example by the kernel when memory runs out, is started again, and its trial
    is tried again. When this process dies, the others end after their epoch.

    Raises:
        ConfigError: the machine has fewer cores, or GPUs, than `jobs`.
        KagglekitError: a process failed.
    """
    check_jobs(jobs)
    context = multiprocessing.get_context("spawn")
    failures: Failures = context.SimpleQueue()

    def start(index: int) -> BaseProcess:
        process = context.Process(
            target=_run_process,
            args=(handle.prepared.config, handle.plan.model, limits, jobs, index, os.getpid(), failures),
        )
        process.start()
        return process

    processes = [start(index) for index in range(jobs)]
    starts = jobs
    try:
        while any(process.is_alive() for process in processes):
            time.sleep(LOOK_S)
            show()
            if limits.over(handle.study):
                continue
            for index, process in enumerate(processes):
                signal_number = -(process.exitcode or 0)
                if signal_number <= 0:
                    continue
                if starts == jobs * STARTS:
                    raise KagglekitError(
                        f"search processes keep being killed (signal {signal_number})",
                        hint="memory may be short: use fewer --jobs, or a smaller train.batch_size",
                    )
                console.note(f"a search process was killed (signal {signal_number}); starting another")
                processes[index] = start(index)
                starts += 1
    finally:
        _end(processes)
    show()
    if not failures.empty():
        message, hint = failures.get()
        raise KagglekitError(message, hint=hint)


def _end(processes: list[BaseProcess]) -> None:
    """Interrupt each process, and let it record what became of its trial."""
    for process in processes:
        if process.is_alive() and process.pid is not None:
            os.kill(process.pid, signal.SIGINT)
    for process in processes:
        process.join()


def _run_process(
    config: Config, model: str, limits: SearchLimits, jobs: int, index: int, parent: int, failures: Failures
) -> None:
    """Search in a child process."""
    signal.signal(signal.SIGINT, _interrupt_once)
    if torch.cuda.is_available():
        os.environ["CUDA_VISIBLE_DEVICES"] = str(index)
    torch.set_num_threads(max(cores() // jobs, 1))
    console.configure(quiet=True)
    try:
        with open_study(prepare(Workspace(config)), resolve(config, model)) as handle:
            run_trials(handle, limits, lambda: None, parent)
    except KeyboardInterrupt:
        pass
    except Exception as error:
        failures.put((str(error) or type(error).__name__, getattr(error, "hint", None)))


def _interrupt_once(*_: object) -> None:
    """Ignore the second SIGINT: on Ctrl-C both the terminal and the parent process send one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt
