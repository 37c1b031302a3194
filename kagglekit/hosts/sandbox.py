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
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import IO

from kagglekit.files.leftovers import temporary_folder

VARIABLE = "KAGGLEKIT_KAGGLE"
"""Environment variable with the folder that stands for /kaggle."""
UNSHARE = ("unshare", "--user", "--map-root-user", "--mount", "--net", "--fork", "--kill-child")
KEPT = ("PATH", "LANG", "LC_ALL", "OMP_NUM_THREADS", "SYSTEMROOT", "TMPDIR")
"""Variables that a script sees: no credential is among them."""
MOST_LOG_BYTES = 20 * 2**20


@dataclass(frozen=True)
class Finished:
    """How a script ended."""

    code: int
    """0 where all went well; negative for the signal that ended it."""
    events: list[dict[str, object]]
    """Its log in the form of Kaggle's: pieces with stream_name, time in seconds and data."""
    seconds: float
    timed_out: bool = False

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
    """

    inputs: Mapping[str, Path]
    working: Path
    hidden: Iterable[Path] = ()
    environment: Mapping[str, str] = field(default_factory=dict)

    def run(self, script: Path, seconds: float, python: str = sys.executable) -> Finished:
        """Run a Python script, and end it after so many seconds."""
        self.working.mkdir(parents=True, exist_ok=True)
        with temporary_folder() as folder:
            if has_namespaces():
                command = self._in_namespace(folder, script, python)
                return _run(command, self._variables({"HOME": "/kaggle/working"}), self.working, seconds)
            self._link(folder)
            variables = self._variables({"HOME": str(folder), VARIABLE: str(folder)})
            return _run([python, "-I", str(script.absolute())], variables, self.working, seconds)

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


def _run(command: list[str], variables: dict[str, str], folder: Path, seconds: float) -> Finished:
    """Run a command in a session of its own, and keep what it prints with the time."""
    events: list[dict[str, object]] = []
    start = time.monotonic()
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None and process.stderr is not None
    readers = [
        threading.Thread(target=_read, args=(stream, name, start, events), daemon=True)
        for name, stream in (("stdout", process.stdout), ("stderr", process.stderr))
    ]
    for reader in readers:
        reader.start()
    timed_out = False
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        timed_out = True
    finally:  # also where Ctrl-C ends the wait
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    for reader, stream in zip(readers, (process.stdout, process.stderr), strict=True):
        reader.join(5)
        stream.close()
    return Finished(process.returncode, events, time.monotonic() - start, timed_out)


def _read(stream: IO[bytes], name: str, start: float, events: list[dict[str, object]]) -> None:
    """Keep the lines of a stream, up to MOST_LOG_BYTES."""
    kept = 0
    for line in stream:
        if (kept := kept + len(line)) <= MOST_LOG_BYTES:
            seconds = round(time.monotonic() - start, 3)
            events.append({"stream_name": name, "time": seconds, "data": line.decode("utf-8", "replace")})
