"""Catch what libmpg123, inside libsndfile, prints to stderr, and tell which file it is about.

While MP3 files are decoded, the process's file descriptor 2 is a temporary file; whatever else is printed
meanwhile is passed on to the real one. A message that appears while several threads decode may be about any
of their files, so these are decoded once more, each alone.
"""

import os
import re
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")

_STDERR = 2
_PLACE = rb"\[src/libmpg123/[^\]\n]*\] "
_LINES = re.compile(rb"(?:^|(?<=\n))(?:" + _PLACE + rb"(?:error|warning)|Note|Warning): [^\n]*\n")


def catch(decode: Callable[[], T]) -> tuple[T, str]:
    """Call `decode`; return its result, and the most serious line that libmpg123 printed meanwhile, or ""."""
    with _CAPTURE.shared() as seen:
        result = decode()
    if seen.lines and not seen.alone:
        with _CAPTURE.exclusive() as seen:
            result = decode()
    return result, _most_serious(seen.lines)


def _most_serious(lines: list[bytes]) -> str:
    text = [re.sub(_PLACE, b"", line).decode(errors="replace").strip() for line in lines]
    kinds = ("error", "warning", "note")
    text.sort(key=lambda line: kinds.index(line.partition(":")[0].lower()))
    return text[0].partition(": ")[2] if text else ""


class _Seen:
    """What was printed during one call."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.alone = True


class _Capture:
    """Redirects file descriptor 2 as long as at least one thread decodes."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.active: list[_Seen] = []
        self.waiting = 0  # threads that want to decode alone; no other thread may start before them
        self.file = -1
        self.position = 0
        self.real = -1

    @contextmanager
    def shared(self) -> Iterator[_Seen]:
        """Collect the lines that are printed during the block, in which other threads may decode, too."""
        seen = _Seen()
        with self.changed:
            self.changed.wait_for(lambda: not self.waiting)
            self._collect()
            self.active.append(seen)
            if len(self.active) == 1:
                self._redirect()
            else:
                for each in self.active:
                    each.alone = False
        try:
            yield seen
        finally:
            with self.changed:
                self._collect()
                self.active.remove(seen)
                if not self.active:
                    self._restore()
                self.changed.notify_all()

    @contextmanager
    def exclusive(self) -> Iterator[_Seen]:
        """Collect the lines that are printed during the block, while no other thread decodes."""
        seen = _Seen()
        with self.changed:
            self.waiting += 1
            try:
                self.changed.wait_for(lambda: not self.active)
                self.active.append(seen)
                self._redirect()
                try:
                    yield seen
                finally:
                    self._collect()
                    self.active.remove(seen)
                    self._restore()
            finally:
                self.waiting -= 1
                self.changed.notify_all()

    def _redirect(self) -> None:
        try:
            self.real = os.dup(_STDERR)
        except OSError:  # the process has no stderr, so that nothing is shown
            return
        if self.file < 0:
            with tempfile.TemporaryFile() as file:
                self.file = os.dup(file.fileno())
        os.ftruncate(self.file, 0)
        os.lseek(self.file, 0, os.SEEK_SET)
        self.position = 0
        os.dup2(self.file, _STDERR)

    def _restore(self) -> None:
        if self.real >= 0:
            os.dup2(self.real, _STDERR)
            os.close(self.real)
            self.real = -1

    def _collect(self) -> None:
        """Give the new lines to every thread that decodes, and pass all other text on."""
        if self.real < 0:
            return
        text = os.pread(self.file, os.fstat(self.file).st_size - self.position, self.position)
        self.position += len(text)
        lines = _LINES.findall(text)
        for seen in self.active:
            seen.lines += lines
        if rest := _LINES.sub(b"", text):
            os.write(self.real, rest)


_CAPTURE = _Capture()
