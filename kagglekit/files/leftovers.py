"""Remove temporary files and folders however this process ends, by a kill too.

A small process is told their names through a pipe. When this process has ended, the pipe closes, and the
other removes what is still there. A name is used once, so that it never means what another process has made.
"""

import os
import re
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from kagglekit.errors import KagglekitError
from kagglekit.files.keys import key_of

# It imports os and signal alone, so that it starts in milliseconds, and outlives signals to a whole group.
_REMOVER = """
import os, signal
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
os.chdir("/")  # keeps no folder from being unmounted
paths, rest, most = [], b"", 1000
while data := os.read(0, 65536):
    *whole, rest = (rest + data).split(b"\\0")
    paths += whole
    if len(paths) > most:
        paths = [path for path in paths if os.path.lexists(path)]
        most = 1000 + 2 * len(paths)
def remove(function, path):
    try:
        function(path)
    except OSError:
        pass
for path in paths:
    for folder, folders, files in os.walk(path, topdown=False):
        for name in files + folders:
            inner = os.path.join(folder, name)
            remove(os.rmdir if os.path.isdir(inner) and not os.path.islink(inner) else os.unlink, inner)
    remove(os.rmdir if os.path.isdir(path) else os.unlink, path)
"""


class _Remover:
    """The process that removes; it starts with the first name."""

    lock = threading.Lock()
    pipe: int | None = None
    owner = 0  # the process that started it; one that is forked from it starts its own


def remove_at_end(path: Path) -> None:
    """Have a file or folder of a name that is used only once removed when this process has ended.

    It may not exist yet, or any more. Where no other process can be started, nothing happens.
    """
    with _Remover.lock, suppress(OSError):  # then some may stay, after a kill alone
        if _Remover.owner != os.getpid():
            _Remover.owner, _Remover.pipe = os.getpid(), None
            _Remover.pipe = _start()
        if _Remover.pipe is not None:
            os.write(_Remover.pipe, os.fsencode(path.absolute()) + b"\0")


def _start() -> int | None:
    """Start the remover, and return the end of the pipe to write names to."""
    if not sys.executable or not hasattr(os, "posix_spawn"):
        return None
    theirs, ours = os.pipe()
    try:
        os.posix_spawn(
            sys.executable,
            [sys.executable, "-I", "-S", "-c", _REMOVER],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, theirs, 0),
                *((os.POSIX_SPAWN_OPEN, stream, os.devnull, os.O_WRONLY, 0) for stream in (1, 2)),
            ],
            setpgroup=0,  # Ctrl-C in a terminal, and its end, are sent to whole groups
        )
    except OSError:
        os.close(ours)
        raise
    finally:
        os.close(theirs)
    return ours


def temporary_name(path: Path) -> Path:
    """Return a name beside `path` that nothing else has had or will have: `.NAME.0123abcd.part`."""
    return path.with_name(f".{_short(path.name)}.{uuid4().hex[:8]}.part")


def is_temporary(name: str) -> bool:
    """Tell whether `temporary_name` gives such a name to a file or folder."""
    return re.fullmatch(r"\..+\.[0-9a-f]{8}\.part", name) is not None


def leftovers_of(path: Path) -> list[Path]:
    """Return what lies at temporary names of `path`; another process may be writing to it."""
    name = re.compile(
        re.escape(f".{_short(path.name)}.") + r"[0-9a-f]{8}\.part|" + re.escape(f".{path.name}.part")
    )
    return [other for other in path.parent.iterdir() if name.fullmatch(other.name)]


def _short(name: str) -> str:
    """Return a name that leaves room for more in the 255 bytes of a file's name."""
    return name if len(os.fsencode(name)) < 200 else key_of(name)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Make a folder in the system's folder for temporary files, and remove it at the end of the block.

    Raises:
        KagglekitError: there is no such folder that can be written to.
    """
    try:
        root = tempfile.gettempdir()
    except FileNotFoundError as error:
        raise KagglekitError(
            f"there is no folder for temporary files: {error.strerror or error}",
            hint="set TMPDIR to a folder you can write to",
        ) from error
    folder = Path(root, f"kagglekit-{uuid4().hex[:12]}")
    remove_at_end(folder)
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        remove_tree(folder)


def remove_tree(folder: Path) -> None:
    """Remove a folder and what is in it, as far as it can be."""
    shutil.rmtree(folder, ignore_errors=True)
