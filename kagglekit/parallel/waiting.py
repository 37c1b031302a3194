"""Wait for futures so that Ctrl-C is seen at once."""

from collections.abc import Iterable
from concurrent.futures import Future, wait
from typing import TypeVar

WAKE_SECONDS = 0.2
Result = TypeVar("Result")


def gather(futures: Iterable[Future[Result]]) -> list[Result]:
    """Return the results of futures in their order.

    The main thread wakes now and then, as Python runs signal handlers only there: polars installs a handler
    of SIGINT in C with SA_RESTART, and a wait without end is then resumed before Python's handler runs.

    Raises:
        Exception: the first, in this order, that a future has raised.
    """
    results = []
    for future in futures:
        while not wait([future], WAKE_SECONDS).done:
            pass
        results.append(future.result())
    return results
