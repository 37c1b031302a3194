"""Try inputs in forked processes, which may hang, crash or take all memory."""

from __future__ import annotations

import contextlib
import json
import os
import random
import resource
import select
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from kagglekit.terminal import console
from support.fuzz.kinds import KINDS, FaultError, Kind

MAX_SECONDS = 20.0
"""Of the processor: others may keep it busy."""
HANGS_S = 180.0
MAX_MB = 1000.0
BATCH = 200
"""Inputs that one process tries, which starts from what this one has imported."""


class Tried(NamedTuple):
    """What became of an input."""

    kind: str
    number: int
    outcome: str
    """accepted, explained or usage; or fault."""
    seconds: float
    mb: float
    """By which the process grew."""
    detail: str = ""
    """Of a fault: what is wrong, and the traceback."""


def run(name: str, numbers: Sequence[int], seed: int = 0) -> Iterator[Tried]:
    """Try inputs of a kind; a process that dies or hangs is a fault of the input that it was at."""
    rest = list(numbers)
    while rest:
        batch = rest[:BATCH]
        with tempfile.TemporaryDirectory(prefix="kagglekit-fuzz-") as folder:
            done = 0
            for tried in _in_a_process(KINDS[name], batch, seed, Path(folder)):
                yield tried
                done += 1
        rest = rest[max(done, 1) :]


def _in_a_process(kind: Kind, numbers: Sequence[int], seed: int, folder: Path) -> Iterator[Tried]:
    readable, writable = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(readable)
        _child(kind, numbers, seed, folder, writable)
    os.close(writable)
    with open(readable, "rb", buffering=0) as pipe:
        waiting = b""
        for number in numbers:
            begun, part = time.monotonic(), b"-"
            while b"\n" not in waiting and part:
                left = begun + HANGS_S - time.monotonic()
                ready, _, _ = select.select([pipe], [], [], max(left, 0))
                part = pipe.read(2**16) if ready else b""
                waiting += part or b""
            line, end, waiting = waiting.partition(b"\n")
            if end:
                yield Tried(*json.loads(line))
                continue
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            _, status = os.waitpid(pid, 0)
            seconds = time.monotonic() - begun
            why = f"over {HANGS_S:.0f} s" if seconds > HANGS_S else f"the process died: {status}"
            yield Tried(kind.name, number, "fault", seconds, 0.0, why)
            return
    os.waitpid(pid, 0)


def _child(kind: Kind, numbers: Sequence[int], seed: int, folder: Path, pipe: int) -> None:
    """Try inputs, and write a line about each to the pipe, one write each so that the parent sees it at once."""
    console.configure(quiet=True)
    try:
        os.chdir(folder)
        for number in numbers:
            line = json.dumps(try_one(kind, number, seed, folder)).encode() + b"\n"
            while line:
                line = line[os.write(pipe, line) :]
    finally:
        os._exit(0)


def try_one(kind: Kind, number: int, seed: int, folder: Path) -> Tried:
    """Try one input in this process."""
    rng = random.Random(f"{kind.name} {seed} {number}")
    begun, before = time.process_time(), _peak_mb()
    outcome, detail = "fault", ""
    try:
        outcome = kind.attempt(rng, folder)
    except FaultError as fault:
        detail = str(fault)
    except BaseException as error:  # a panic of polars is no Exception
        last = "".join(traceback.format_exception(error)[-12:])[-4000:]
        detail = f"{type(error).__name__}: {str(error)[:300]}\n{last}"
    seconds, mb = time.process_time() - begun, _peak_mb() - before
    if seconds > MAX_SECONDS or mb > MAX_MB:
        outcome, detail = "fault", f"{seconds:.0f} s, {mb:.0f} MB {detail}"
    return Tried(kind.name, number, outcome, seconds, mb, detail)


def _peak_mb() -> float:
    scale = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale


def summary(results: Sequence[Tried]) -> dict[str, Any]:
    """Count what became of inputs."""
    counts = {
        word: sum(r.outcome == word for r in results) for word in ("accepted", "explained", "usage", "fault")
    }
    return {**counts, "seconds": max(r.seconds for r in results), "mb": max(r.mb for r in results)}
