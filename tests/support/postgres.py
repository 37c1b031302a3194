"""A real PostgreSQL server for a test: made in a temporary folder, on loopback, gone afterwards."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

USER = "kagglekit"


def bin_dir() -> Path | None:
    """Where PostgreSQL's programs are: on the PATH, or where Debian puts them."""
    found = shutil.which("initdb")
    places = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return places[-1] if places and (places[-1] / "initdb").is_file() else None


def as_user(*command: str | Path) -> list[str]:
    """The command as an ordinary user: PostgreSQL refuses to run as root."""
    return [*(["runuser", "-u", "nobody", "--"] if os.geteuid() == 0 else []), *map(str, command)]


@contextmanager
def server(bin_: Path) -> Iterator[str]:
    """The address of a running server's database."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = Path(tempfile.mkdtemp(prefix="kagglekit-postgres-"))
    folder.chmod(0o777)
    data, log = folder / "data", folder / "log"
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
    control = as_user(bin_ / "pg_ctl", "-D", data, "-l", log, "-w", "-t", "120")
    try:
        initdb = as_user(bin_ / "initdb", "-D", data, "-U", USER, "-A", "trust", "-E", "UTF8", "--no-sync")
        subprocess.run(initdb, check=True, capture_output=True, cwd="/")
        subprocess.run([*control, "-o", options, "start"], check=True, capture_output=True, cwd="/")
        yield f"postgresql://{USER}@127.0.0.1:{port}/postgres"
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], check=False, capture_output=True, cwd="/")
        shutil.rmtree(folder, ignore_errors=True)
