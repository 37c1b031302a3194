"""How long each stage takes, for the log and for what rehearses the notebook."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stages:
    """Seconds by stage, and those of work in threads, which stages contain."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.work: dict[str, float] = {}
        self._lock = threading.Lock()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the block's time to a stage."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started

    @contextmanager
    def thread(self, name: str) -> Iterator[None]:
        """Count the block's time, in one of several threads, to a kind of work."""
        started = time.perf_counter()
        try:
            yield
        finally:
            with self._lock:
                self.work[name] = self.work.get(name, 0.0) + time.perf_counter() - started

    def lines(self) -> list[str]:
        """Return a line for each stage, and one for each kind of work."""
        return [
            *(f"  {name:<10} {seconds:8.1f} s" for name, seconds in self.seconds.items()),
            *(f"  {name:<10} {seconds:8.1f} s, summed over threads" for name, seconds in self.work.items()),
        ]
