"""Processes that work for this one, each with a pipe of its own.

Nothing is shared: queues and locks of multiprocessing need semaphores, which not every machine has (without
/dev/shm), and a process that is killed while it holds one would leave the others waiting for ever.
"""

import ctypes
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any

from kagglekit.errors import KagglekitError
from kagglekit.terminal import progress

WAKE_S = 0.2  # waits are this long, since polars' handler of SIGINT lets waits without end go on
PATIENCE_S = 1.0  # for a killed process to end
SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG in linux/prctl.h
RESULT, FAILURE = "result", "failure"
"""Kinds of messages; all others are of `terminal.progress`."""


class LostError(KagglekitError):
    """A child process was killed."""


class NoProcessError(KagglekitError):
    """No process can be started."""


class TracebackOfChild(Exception):
    """Where an error was raised in a child process."""


class Child:
    """A process that calls functions for this one, one after the other.

    It ends when this process does, by SIGKILL too.

    Args:
        environment: variables, set before NumPy and torch are imported and read them.

    Raises:
        NoProcessError: it cannot be started.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        context = multiprocessing.get_context("spawn")
        try:
            self.pipe, theirs = context.Pipe()
            self.process = context.Process(target=_serve, args=(theirs, dict(environment)))
            self.process.start()
        except OSError as error:
            raise NoProcessError(
                f"no other process can be started: {error.strerror or error}",
                hint="run the same command again with --set jobs=1, or --jobs 1",
            ) from error
        theirs.close()

    def call(self, function: Callable[[Any], Any], job: Any) -> None:
        """Have `function(job)` called; both must be picklable.

        Raises:
            LostError: the process was killed.
        """
        try:
            self.pipe.send((function, job))
        except OSError as error:
            raise self.lost() from error

    def receive(self) -> tuple[Any, ...]:
        """Wait for the next message.

        Raises:
            LostError: the process was killed.
        """
        wait_for_one([self])
        try:
            message: tuple[Any, ...] = self.pipe.recv()
        except (EOFError, OSError) as error:
            raise self.lost() from error
        return message

    def lost(self) -> LostError:
        """Return the error of a process that has ended by itself."""
        self.process.join(PATIENCE_S)
        number = -(self.process.exitcode or 0)
        why = f" by signal {number}" if number > 0 else ""
        return LostError(
            f"a process was killed{why}, perhaps because memory ran out",
            hint="run the same command again with --set jobs=1",
        )

    def interrupt(self) -> None:
        """Send SIGINT, which a function may have chosen to hear."""
        if self.process.pid is not None and self.process.exitcode is None:
            os.kill(self.process.pid, signal.SIGINT)

    def end(self) -> None:
        """Kill the process; files are written atomically, so any time is safe."""
        self.pipe.close()
        self.process.kill()
        self.process.join(PATIENCE_S)


def ready(children: Iterable[Child], seconds: float) -> list[Child]:
    """Wait until at least one process has sent a message or has ended, or so long; return those."""
    by_pipe = {child.pipe: child for child in children}
    return [by_pipe[pipe] for pipe in wait(list(by_pipe), seconds) if isinstance(pipe, Connection)]


def wait_for_one(children: Iterable[Child]) -> list[Child]:
    """Wait until at least one process has sent a message or has ended, and return those."""
    awaited = list(children)
    while not (heard := ready(awaited, WAKE_S)):
        pass
    return heard


def result_of(message: tuple[Any, ...]) -> Any:
    """Return the result in a message.

    Raises:
        Exception: what the function raised in the child process.
    """
    if message[0] == RESULT:
        return message[1]
    _, error, trace = message
    raise error from TracebackOfChild(trace)


# --- in the child ---


def _serve(pipe: Connection, environment: Mapping[str, str]) -> None:
    """Answer calls until the parent closes the pipe."""
    os.environ.update(environment)
    # Terminals and batch systems send these to all processes. The parent hears them, and ends this one.
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    _end_with_parent()
    lock = threading.Lock()

    def send(message: Any) -> None:
        with lock:
            pipe.send(message)

    progress.send_to(send)
    while True:
        try:
            function, job = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            answer: Sequence[Any] = (RESULT, function(job))
        except Exception as error:
            answer = (FAILURE, _portable(error), f"\n{traceback.format_exc()}")
        try:
            send(tuple(answer))
        except (BrokenPipeError, ConnectionResetError):
            return


def _portable(error: Exception) -> Exception:
    """Return an error, or one with its words where it cannot be sent."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _end_with_parent() -> None:
    """End this process when its parent has ended, however that was."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    if sys.platform == "linux":  # where C code keeps threads of Python from running
        ctypes.CDLL(None).prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
