"""End this process on Ctrl-C, SIGTERM and SIGHUP: by an exception where Python is running, else by force.

Python runs its handlers in the main thread and between its own instructions. A call into a library may take
minutes, a library may swallow the exception, and polars' handler of SIGINT lets waits of the main thread go
on (SA_RESTART). A thread hears of signals at once, through `signal.set_wakeup_fd`, and sees to the end.
"""

import atexit
import os
import signal
import sys
import threading
from contextlib import suppress
from types import FrameType

NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
GRACE_S = 1.5  # for the exception to end the process; the next signal ends it at once
POKE_S = 0.1
SHOW_CURSOR = "\x1b[?25h"  # a progress bar hides it


class _Ending:
    hears = False
    """Whether this process is the command's alone."""
    heard = 0
    """The signal that has raised an exception: once, since a second would break off the cleaning up."""
    said = False
    """Whether the user has been told."""
    code: int | None = None
    """The command's exit code, once it is done."""


def hear() -> None:
    """From now on, end this process on signals that are not ignored, as `nohup` ignores SIGHUP."""
    numbers = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]
    numbers = [number for number in numbers if signal.getsignal(number) not in (signal.SIG_IGN, None)]
    if not numbers or not hasattr(signal, "SIGURG"):
        return
    _Ending.hears = True
    for number in numbers:
        signal.signal(number, _stop)
        atexit.register(
            signal.signal, number, signal.SIG_IGN
        )  # Python would end by it, behind all that it calls
    signal.signal(signal.SIGURG, lambda *_: None)  # interrupts waits of the main thread
    theirs, ours = os.pipe()
    os.set_blocking(ours, False)
    signal.set_wakeup_fd(ours, warn_on_full_buffer=False)
    arguments = theirs, numbers, threading.get_ident()
    threading.Thread(target=_watch, args=arguments, name="signals", daemon=True).start()


def _stop(number: int, frame: FrameType | None) -> None:
    if _Ending.code is not None:
        _end(number)
    if not _Ending.heard:
        _Ending.heard = number
        raise KeyboardInterrupt


def _watch(pipe: int, numbers: list[int], main: int) -> None:
    """Wait for a signal, and end the process by force after GRACE_S or at a second one."""
    number = _next(pipe, numbers)
    force = threading.Timer(GRACE_S, _end, (number,))
    force.daemon = True
    force.start()
    threading.Thread(target=_poke, args=(main,), daemon=True).start()
    _next(pipe, numbers)
    _end(number)


def _next(pipe: int, numbers: list[int]) -> int:
    """Wait for the next of these signals."""
    while (number := os.read(pipe, 1)[0]) not in numbers:
        pass
    return number


def _poke(main: int) -> None:
    """Interrupt the main thread's waits until it has heard of the signal."""
    pause = threading.Event()
    while not _Ending.heard:
        signal.pthread_kill(main, signal.SIGURG)
        pause.wait(POKE_S)


def _end(number: int) -> None:
    """End this process at once: files are written atomically, and what is temporary goes by itself."""
    if _Ending.code is not None:
        os._exit(_Ending.code)
    with suppress(OSError):
        if not _Ending.said:
            os.write(2, f"{text_of(number)}\n".encode())
    os._exit(128 + number)


def done(code: int) -> int:
    """Return the exit code of a command that is done; a signal changes it no more."""
    _Ending.code = code
    return code


def cause(error: BaseException) -> int:
    """Return the signal that an error comes from; 0: from none.

    After a signal every error does, as libraries make other ones of the exception.
    """
    return _Ending.heard or (signal.SIGINT if isinstance(error, KeyboardInterrupt) else 0)


def stop(number: int) -> int:
    """Tell the user how the process ends, and return its exit code; end at once where it hears signals.

    Threads that still work would else be waited for.
    """
    _Ending.said = True
    with suppress(OSError):  # the terminal has gone
        print(text_of(number), file=sys.stderr)
        sys.stdout.flush()
    if _Ending.hears:
        _end(number)
    return 128 + number


def text_of(number: int) -> str:
    """Return the lines that say how the process ends."""
    by = "" if number == signal.SIGINT else f" by {signal.Signals(number).name}"
    cursor = SHOW_CURSOR if os.isatty(2) else ""
    return f"{cursor}stopped{by}\nhint:  nothing is lost: the same command goes on from here"
