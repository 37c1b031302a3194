"""Run a script as a host's notebook does: /kaggle/input read-only, /kaggle/working to write to, no network.

Where this machine lets a process have mounts of its own (Linux: unshare), the paths are the real ones.
Elsewhere the variable KAGGLEKIT_KAGGLE names the folder that stands for /kaggle, and the network stays.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import IO

from kagglekit.files.leftovers import temporary_folder
from kagglekit.files.places import KAGGLE

UNSHARE = ("unshare", "--user", "--map-root-user", "--mount", "--net", "--fork", "--kill-child")
KEPT = ("PATH", "LANG", "LC_ALL", "OMP_NUM_THREADS", "SYSTEMROOT", "TMPDIR")
"""Variables that a script sees: no credential is among them."""
MOST_LOG_BYTES = 20 * 2**20
POLL_S = 0.1  # seconds between two looks at the memory


@dataclass(frozen=True)
class Finished:
    """How a script ended."""

    code: int
    """0 where all went well; negative for the signal that ended it."""
    events: list[dict[str, object]]
    """Its log in the form of Kaggle's: pieces with stream_name, time in seconds and data."""
    seconds: float
    timed_out: bool = False
    out_of_memory: bool = False
    """Whether it was ended for using more memory than it may."""
    peak_gb: float = 0.0
    """Largest resident memory of one of its processes; 0 where the system does not say."""

    @property
    def log(self) -> str:
        """The log as text."""
        return "".join(str(event["data"]) for event in self.events)


@dataclass(frozen=True)
class Sandbox:
    """Where a script runs.

    Args:
        inputs: place below /kaggle/input, such as competitions/SLUG -> the folder that is seen there.
        working: the folder that is seen as /kaggle/working.
        hidden: files in these folders that are not to be seen, such as a solution.
        cores: how many it may use; None: all.
        memory_gb: resident memory with which it is ended; None: any.
    """

    inputs: Mapping[str, Path]
    working: Path
    hidden: Iterable[Path] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    cores: int | None = None
    memory_gb: float | None = None

    def usable_cores(self) -> list[int]:
        """Return the numbers of the cores that a script gets here; [] where the system cannot say."""
        if not hasattr(os, "sched_getaffinity"):
            return []
        return sorted(os.sched_getaffinity(0))[: self.cores]

    def run(self, script: Path, seconds: float, python: str = sys.executable) -> Finished:
        """Run a Python script, and end it after so many seconds."""
        self.working.mkdir(parents=True, exist_ok=True)
        with temporary_folder() as folder:
            if has_namespaces():
                command = self._in_namespace(folder, script, python)
                return self._run(command, {"HOME": "/kaggle/working"}, seconds)
            self._link(folder)
            command = [python, "-I", str(script.absolute())]
            return self._run(command, {"HOME": str(folder), KAGGLE: str(folder)}, seconds)

    def _variables(self, more: Mapping[str, str]) -> dict[str, str]:
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        return {**kept, "KAGGLE_KERNEL_RUN_TYPE": "Batch", **more, **self.environment}

    def _in_namespace(self, folder: Path, script: Path, python: str) -> list[str]:
        """Return a command that builds another root, with a /kaggle, and runs the script in it."""
        root, source = folder / "root", folder / "script.py"
        shutil.copyfile(script, source)
        lines = ["set -e", f"mkdir {_q(root)}", f"mount -t tmpfs none {_q(root)}"]
        for top in sorted(Path("/").iterdir()):
            place = root / top.name
            if top.is_symlink():
                lines.append(f"ln -s {_q(os.readlink(top))} {_q(place)}")
            elif top.is_dir() and top.name != "kaggle":
                lines.append(f"mkdir {_q(place)} && mount --rbind {_q(top)} {_q(place)}")
        hidden = {path.resolve() for path in self.hidden}
        for name, path in self.inputs.items():
            lines += _bind(path.resolve(), root / "kaggle/input" / name)
            inside = [one.relative_to(path.resolve()) for one in hidden if one.is_relative_to(path.resolve())]
            lines += [f"mount --bind /dev/null {_q(root / 'kaggle/input' / name / one)}" for one in inside]
        working, code = root / "kaggle/working", root / "kaggle/src/script.py"
        lines += [f"mkdir -p {_q(working)} {_q(code.parent)}", f"cp {_q(source)} {_q(code)}"]
        lines += [f"mount --bind {_q(self.working.resolve())} {_q(working)}"]
        run = f"cd /kaggle/working && exec {_q(python)} -I /kaggle/src/script.py"
        lines.append(f"exec chroot {_q(root)} /bin/sh -c {_q(run)}")
        return [*UNSHARE, "/bin/sh", "-c", "\n".join(lines)]

    def _link(self, folder: Path) -> None:
        """Build /kaggle of links; a folder with hidden files is linked file by file."""
        hidden = {path.resolve() for path in self.hidden}
        for name, path in self.inputs.items():
            place, path = folder / "input" / name, path.resolve()
            place.parent.mkdir(parents=True, exist_ok=True)
            if not any(one.is_relative_to(path) for one in hidden):
                place.symlink_to(path)
                continue
            for inner in path.rglob("*"):
                if inner.is_file() and inner.resolve() not in hidden:
                    (place / inner.relative_to(path)).parent.mkdir(parents=True, exist_ok=True)
                    (place / inner.relative_to(path)).symlink_to(inner)
        (folder / "working").symlink_to(self.working.resolve())

    def _run(self, command: list[str], variables: Mapping[str, str], seconds: float) -> Finished:
        """Run a command in a session of its own, and keep what it prints with the time."""
        events: list[dict[str, object]] = []
        start, cores = time.monotonic(), self.usable_cores()
        process = subprocess.Popen(
            command,
            cwd=self.working,
            env=self._variables(variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=(lambda: os.sched_setaffinity(0, cores)) if self.cores and cores else None,
        )
        assert process.stdout is not None and process.stderr is not None
        readers = [
            threading.Thread(target=_read, args=(stream, name, start, events), daemon=True)
            for name, stream in (("stdout", process.stdout), ("stderr", process.stderr))
        ]
        for reader in readers:
            reader.start()
        try:
            timed_out, out_of_memory, peak = self._wait(process, start + seconds)
        finally:  # also where Ctrl-C ends the wait
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        for reader, stream in zip(readers, (process.stdout, process.stderr), strict=True):
            reader.join(5)
            stream.close()
        took = time.monotonic() - start
        return Finished(process.returncode, events, took, timed_out, out_of_memory, peak)

    def _wait(self, process: subprocess.Popen[bytes], end: float) -> tuple[bool, bool, float]:
        """Wait for the end, or for a limit: whether the time or the memory was too much, and the memory."""
        peak = 0.0
        while True:
            with suppress(subprocess.TimeoutExpired):
                process.wait(POLL_S)
                return False, False, peak
            peak = max([peak, *map(_peak_gb, _tree(process.pid))])
            if self.memory_gb is not None and peak > self.memory_gb:
                return False, True, peak
            if time.monotonic() > end:
                return True, False, peak


def inputs_of(competition: str, files: Path, datasets: Mapping[str, Path]) -> dict[str, Path]:
    """Return the places of a competition's files and of data sets, as OWNER/NAME, in both layouts.

    Kaggle's images mount /kaggle/input/competitions/SLUG and /kaggle/input/datasets/OWNER/NAME; older ones
    /kaggle/input/SLUG and /kaggle/input/NAME.
    """
    inputs = {f"competitions/{competition}": files, competition: files}
    for name, folder in datasets.items():
        inputs |= {f"datasets/{name}": folder, name.rpartition("/")[2]: folder}
    return inputs


@cache
def has_namespaces() -> bool:
    """Tell whether a process may have mounts and a network of its own here."""
    if not sys.platform.startswith("linux") or shutil.which("unshare") is None:
        return False
    try:
        tried = subprocess.run(
            [*UNSHARE, "/bin/sh", "-c", "mount -t tmpfs none /mnt && chroot / /bin/true"],
            capture_output=True,
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return tried.returncode == 0


def _bind(path: Path, place: Path) -> list[str]:
    return [
        f"mkdir -p {_q(place)}",
        f"mount --bind {_q(path)} {_q(place)}",
        f"mount -o remount,bind,ro {_q(place)} || echo {_q(place)} can be written to >&2",
    ]


def _q(text: object) -> str:
    return shlex.quote(str(text))


def _tree(pid: int) -> Iterator[int]:
    """Yield a process and those that it has started; the process alone where the system does not say."""
    yield pid
    with suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split():
            yield from _tree(int(child))


def _peak_gb(pid: int) -> float:
    """Return the largest resident memory that a process has had, in GB; 0 where the system does not say."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e9
    return 0.0


def _read(stream: IO[bytes], name: str, start: float, events: list[dict[str, object]]) -> None:
    """Keep the lines of a stream, up to MOST_LOG_BYTES."""
    kept = 0
    for line in stream:
        if (kept := kept + len(line)) <= MOST_LOG_BYTES:
            seconds = round(time.monotonic() - start, 3)
            events.append({"stream_name": name, "time": seconds, "data": line.decode("utf-8", "replace")})
