"""Work on items in threads, and take the results in the order of the items, with bounded memory."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, Self, TypeVar

from kagglekit.parallel.processes import cores

Item = TypeVar("Item")
Result = TypeVar("Result")

MOST_WAITING = 64
MOST_WEIGHT = 2**27  # 128 MB


class InOrder(Generic[Item, Result]):
    """Call `work` in a thread for each item that is put, and `done` with each result in the caller's thread.

    For work that releases the GIL: decoding, decompressing, hashing. The first error of `work` or `done` is
    raised by the next `put`, or at the end of the block.

    Args:
        work: called in several threads at once.
        done: called in the order of the items.
        threads: by default, the cores that this process may use.
    """

    def __init__(
        self, work: Callable[[Item], Result], done: Callable[[Result], None], threads: int | None = None
    ) -> None:
        self._work, self._done = work, done
        self._pool = ThreadPoolExecutor(threads or cores())
        self._waiting: deque[tuple[Future[Result], int]] = deque()
        self._weight = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                while self._waiting:
                    self._take()
        finally:
            self._pool.shutdown(cancel_futures=True)

    def put(self, item: Item, weight: int = 0) -> None:
        """Hand in an item of `weight` bytes; wait while many items, or heavy ones, are in work."""
        while self._waiting and (
            self._waiting[0][0].done()
            or len(self._waiting) >= MOST_WAITING
            or self._weight + weight > MOST_WEIGHT
        ):
            self._take()
        self._waiting.append((self._pool.submit(self._work, item), weight))
        self._weight += weight

    def _take(self) -> None:
        future, weight = self._waiting.popleft()
        self._weight -= weight
        self._done(future.result())
