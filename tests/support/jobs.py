"""What other processes are given to do. They import this file, and torch only where a job does."""

from __future__ import annotations

import os
import signal
import time

from kagglekit.errors import KagglekitError
from kagglekit.terminal import console, progress


def told(job: int) -> tuple[int, str, int]:
    """Shows a bar and a note; the job, its threads and its process."""
    console.note(f"job {job} begins")
    with progress.bar(f"job {job}", 2, "clips") as advance:
        advance(1)
        advance(1, text="done")
    return job, os.environ["OMP_NUM_THREADS"], os.getpid()


def fails(job: int) -> int:
    if job == 0:
        raise KagglekitError("job 0 cannot be", hint="leave it out")
    time.sleep(60)
    return job


def dies(job: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)
