"""What the benchmarks share: rounds that take turns, peers in processes of their own, the JSON of a row.

A benchmark file measures one row of docs/BENCHMARKS.md (bench_predict.py two, which share their clips). Run
alone, it prints its table; with all of its rounds it also writes benchmarks/measured/<row>.json, from which
run_all.py renders the page. `--rounds 1` is a quick look, and writes nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any, Self

import numpy as np

ROUNDS = 5
THREADS = int(os.environ.get("OMP_NUM_THREADS", "2"))  # of both sides
HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
MEASURED = HERE / "measured"
PEER_PYTHON = ROOT / ".bench" / "bin" / "python"
PACKAGES = ("kagglekit", "torch", "numpy", "polars", "pyarrow", "transformers")

Side = Callable[[], float]
"""One round of one side's work; the seconds that it took."""


@dataclass(frozen=True)
class Figure:
    """One line of a row: a value a round, and what its median must reach."""

    what: str
    values: list[float]
    unit: str = "x"
    """x: a ratio of the two sides of one round; only such are compared with earlier ones."""
    least: float | None = None
    most: float | None = None
    instead_of: str = ""
    """Another figure of the row: one of the two must reach what it must."""

    @property
    def median(self) -> float:
        """Over the rounds."""
        return median(self.values)

    @property
    def met(self) -> bool | None:
        """None: nothing is asked of it."""
        if self.least is None and self.most is None:
            return None
        return (self.least is None or self.median >= self.least) and (
            self.most is None or self.median <= self.most
        )


@dataclass(frozen=True)
class Row:
    """What one benchmark found."""

    name: str
    work: str
    file: str
    figures: list[Figure]
    remarks: list[str] = field(default_factory=list)
    """What a reader must know of how it was measured."""
    machine: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    date: str = ""

    @property
    def met(self) -> bool:
        """Whether every figure is what it must be, or the one that stands in for it is."""
        return all(f.met is not False or any(other.met for other in self._partners(f)) for f in self.figures)

    def _partners(self, figure: Figure) -> list[Figure]:
        return [f for f in self.figures if f.what == figure.instead_of or f.instead_of == figure.what]


def arguments(summary: str, **numbers: int) -> argparse.Namespace:
    """Of every benchmark, and its own `numbers` with their defaults."""
    parser = argparse.ArgumentParser(description=summary)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="fewer than 5: a look, nothing is written")
    for name, default in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=default, help="fewer: a look, nothing is written")
    return parser.parse_args()


def timed(work: Callable[[], Any]) -> float:
    """Seconds of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def processor_seconds(pid: int) -> float:
    """Processor time so far of a process and of its children that still run; a child of ours is not ours."""
    task = Path(f"/proc/{pid}")
    user, system = (task / "stat").read_text().rpartition(")")[2].split()[11:13]
    children = (task / "task" / str(pid) / "children").read_text().split() if pid != os.getpid() else []
    own = (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
    return own + sum(processor_seconds(int(child)) for child in children)


def take_turns(sides: Mapping[str, Side], rounds: int) -> dict[str, list[float]]:
    """Seconds of each side by round. They take turns, so that what else the machine does hits all alike."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds):
        order = list(sides.items())
        for name, side in order if number % 2 == 0 else reversed(order):
            seconds[name].append(side())
    return seconds


def ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """Round by round."""
    return [a / b for a, b in zip(above, below, strict=True)]


def best_of(seconds: Mapping[str, Sequence[float]]) -> str:
    """The name of the quickest by its median."""
    return min(seconds, key=lambda name: median(seconds[name]))


def rates(count: int, seconds: Sequence[float]) -> list[float]:
    """Things a second, round by round."""
    return [count / s for s in seconds]


class Peer:
    """A peer in a process of its own, which does one round whenever it is called (peers/serve.py).

    Its imports, its reading of inputs and one round to warm up are over when this returns.

    Args:
        script: a file of benchmarks/peers/.
        arguments: its own.
        python: by default that of the peers' environment.
        threads: that it may compute with.
    """

    def __init__(
        self, script: str, *arguments: object, python: Path | str = PEER_PYTHON, threads: int = THREADS
    ) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": str(threads)}
        environment |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
        command = [str(python), str(HERE / "peers" / script), *map(str, arguments)]
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed by stop)
        self.process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
        )
        self.script = script
        self.facts: dict[str, Any] = {}
        self._reply()

    def __call__(self) -> float:
        """One round; `facts` then has what it said besides."""
        self.facts = self._ask("run")
        return float(self.facts["seconds"])

    def result(self, path: Path) -> np.ndarray[Any, Any]:
        """What its last round made, by way of a file."""
        self._ask(f"save {path}")
        array: np.ndarray[Any, Any] = np.load(path, allow_pickle=False)
        return array

    def _ask(self, what: str) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()
        return self._reply()

    def _reply(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        while line and not line.startswith("{"):  # an import had something to say
            line = self.process.stdout.readline()
        if not line:
            self.errors.seek(0)
            said = self.errors.read().decode(errors="replace")
            self.stop()
            raise SystemExit(f"{self.script} ended:\n{said}")
        reply: dict[str, Any] = json.loads(line)
        return reply

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *of: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End its process."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
        self.errors.close()


@contextmanager
def own_memory() -> Iterator[list[float]]:
    """Peak memory of this process in MB within the block, looked at 50 times a second.

    Pages of mapped files do not count: the system takes them back when it needs them. Elsewhere than on Linux
    there is no such figure, and the list stays empty.
    """
    peak: list[float] = []
    over = threading.Event()

    def look() -> None:
        ended = False
        while not ended:
            ended = over.wait(0.02)  # once more at the end
            peak[:] = [max([_own_megabytes(), *peak])]

    watcher = threading.Thread(target=look, daemon=True)
    if Path("/proc/self/status").exists():
        watcher.start()
    try:
        yield peak
    finally:
        over.set()
        if watcher.ident:
            watcher.join()


def _own_megabytes() -> float:
    lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    sizes = dict(line.split(":", 1) for line in lines if line.startswith(("RssAnon", "RssShmem")))
    return sum(float(size.split()[0]) for size in sizes.values()) / 1e3


def report(row: Row, *, keep: bool = True) -> None:
    """Print a row and, if it has all of its rounds, keep it."""
    print(f"{row.work}: {'met' if row.met else 'MISSED'}")
    for figure in row.figures:
        print("  " + line_of(figure))
    for remark in row.remarks:
        print(f"  ({remark})")
    if min(len(figure.values) for figure in row.figures) < ROUNDS:
        print(f"  fewer than {ROUNDS} rounds: not kept")
        return
    if not keep:
        print("  smaller than asked: not kept")
        return
    MEASURED.mkdir(exist_ok=True)
    found = asdict(row) | {
        "machine": machine(),
        "versions": {name: version(name) for name in PACKAGES},
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }
    part = MEASURED / f".{row.name}.part"
    part.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    os.replace(part, MEASURED / f"{row.name}.json")


def parse(text: str) -> Row:
    """A row that `report` kept."""
    found = json.loads(text)
    return Row(**{**found, "figures": [Figure(**figure) for figure in found["figures"]]})


def line_of(figure: Figure) -> str:
    """`3.1 x as fast as 7z (2.9 to 3.3), required 1.5`"""
    must = required(figure)
    verdict = "" if figure.met is None else f", required {must}: {'met' if figure.met else 'missed'}"
    return f"{figure.what}: {value_of(figure)}{verdict}"


def value_of(figure: Figure) -> str:
    """Median and spread with the unit."""
    low, high = min(figure.values), max(figure.values)
    spread = f" ({shown(low)} to {shown(high)})" if len(figure.values) > 1 else ""
    return f"{shown(figure.median)} {figure.unit}{spread}"


def required(figure: Figure) -> str:
    """`>= 1.5`, or nothing."""
    sides = ((">=", figure.least), ("<=", figure.most))
    return ", ".join(f"{sign} {bound:,g}" for sign, bound in sides if bound is not None)


def shown(value: float) -> str:
    """Three digits that count."""
    if value and abs(value) < 0.01:
        return f"{value:.1e}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def machine() -> str:
    """Processor, cores, memory and system, as far as the system tells."""
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        processor = names[0].split(":", 1)[1].strip() if names else processor
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    system = f"{platform.system()}, Python {platform.python_version()}"
    return f"{os.cpu_count()} cores of {processor}, {gigabytes:.0f} GB, {system}, {THREADS} threads"


def need(path: Path) -> None:
    """End here, with a line that says so, where there is no data."""
    if not path.exists():
        print(f"skipped: there is no {path}")
        sys.exit(0)
