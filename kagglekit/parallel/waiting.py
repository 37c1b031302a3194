"""Wait for futures so that Ctrl-C is seen at once."""

from collections.abc import Iterable
from concurrent.futures import Future, wait
from typing import TypeVar

WAKE_SECONDS = 0.2
Result = TypeVar("Result")


def wait_for(futures: Iterable[Future[Result]]) -> None:
    """Wait until all futures are done, whether they have succeeded or not.

    The main thread wakes now and then, as Python runs signal handlers only there: polars installs a handler
    of SIGINT in C with SA_RESTART, and a wait without end is then resumed before Python's handler runs.
    """
    awaited = list(futures)
    while wait(awaited, WAKE_SECONDS).not_done:
        pass


def gather(futures: Iterable[Future[Result]]) -> list[Result]:
    """Return the results of futures in their order, each awaited as by `wait_for`.

    Raises:
        Exception: the first, in this order, that a future has raised; later ones may still run.
    """
    results = []
    for future in futures:
        wait_for([future])
        results.append(future.result())
    return results
