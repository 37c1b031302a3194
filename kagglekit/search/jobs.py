"""Search with several processes on this machine, each with its share of the cores, or its own GPU."""

import os
import signal
import time
from collections.abc import Callable, Iterable

import torch

from kagglekit.config import Config
from kagglekit.data.prepare import prepare
from kagglekit.errors import ConfigError, KagglekitError, plural
from kagglekit.files.workspace import Workspace
from kagglekit.parallel.children import Child, LostError, ready, result_of
from kagglekit.parallel.processes import cores, share_of_cores
from kagglekit.search.limits import SearchLimits
from kagglekit.search.study import StudyHandle, open_study
from kagglekit.search.worker import run_trials
from kagglekit.terminal import console, progress
from kagglekit.training.plan import resolve

LOOK_S = 0.3  # between looks at the processes
RECORDING_S = 1.0  # for interrupted processes to record their trials; what they do not is tried again anyway
STARTS = 4  # per process, for those that are killed, for example where memory runs out


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
    is tried again. When this process dies, the others end at once.

    Raises:
        ConfigError: the machine has fewer cores, or GPUs, than `jobs`.
        KagglekitError: a process failed, or none can be started.
    """
    check_jobs(jobs)
    job = handle.prepared.config, handle.plan.model, limits, jobs
    working: dict[Child, int] = {}

    def start(index: int) -> None:
        child = Child(share_of_cores(jobs) | _one_gpu(index))
        working[child] = index
        child.call(_search, job)

    starts = jobs
    try:
        for index in range(jobs):
            start(index)
        while working:
            for child in ready(working, LOOK_S):
                try:
                    message = child.receive()
                except LostError as error:
                    index = working.pop(child)
                    if limits.over(handle.study):
                        continue
                    if starts == jobs * STARTS:
                        raise KagglekitError(
                            f"search processes keep being killed: {error}",
                            hint="memory may be short: use fewer --jobs, or a smaller train.batch_size",
                        ) from error
                    console.note(f"{error}; starting another")
                    start(index)
                    starts += 1
                else:
                    del working[child]
                    child.end()
                    result_of(message)
            show()
    finally:
        _end(working)
    show()


def _one_gpu(index: int) -> dict[str, str]:
    """Return the variable that shows one GPU alone to a process; none where there is no GPU."""
    if not torch.cuda.is_available():
        return {}
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    return {"CUDA_VISIBLE_DEVICES": visible.split(",")[index] if visible else str(index)}


def _end(children: Iterable[Child]) -> None:
    """Interrupt processes, let them record what became of their trials, and end them."""
    working = set(children)
    for child in working:
        child.interrupt()
    end = time.monotonic() + RECORDING_S
    while (left := end - time.monotonic()) > 0 and working:
        for child in ready(working, left):
            working.remove(child)
            child.end()
    for child in working:
        child.end()


def _search(job: tuple[Config, str, SearchLimits, int]) -> None:
    """Search in a child process."""
    config, model, limits, jobs = job
    signal.signal(signal.SIGINT, _interrupt_once)
    progress.send_to(lambda message: None)  # the parent shows what becomes of the trials
    torch.set_num_threads(max(cores() // jobs, 1))
    try:
        with open_study(prepare(Workspace(config)), resolve(config, model)) as handle:
            run_trials(handle, limits, lambda: None)
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _interrupt_once(*_: object) -> None:
    """Ignore the second SIGINT: on Ctrl-C both the terminal and the parent process send one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt
