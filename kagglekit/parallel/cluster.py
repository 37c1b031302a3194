"""Connect to a Ray cluster, check its nodes, and put files into its memory."""

import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kagglekit import __version__
from kagglekit.errors import KagglekitError, MissingError

CONNECT_TIMEOUT_S = 10.0  # for an address that does not answer
TRIES = 4  # for work that is lost with its node or process
CHUNK_BYTES = 64 * 2**20  # of a file in one object of the cluster's memory


class VersionError(KagglekitError):
    """A node has another version of kagglekit than the caller."""


def connect(address: str) -> Any:
    """Connect to a cluster and return the module `ray`; "local" starts a cluster on this machine.

    Raises:
        MissingError: Ray is not installed.
        KagglekitError: there is no cluster.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise MissingError(
            "--cluster needs Ray, which is not installed", hint="pip install 'kagglekit[cluster]'"
        ) from error
    where: dict[str, Any] = {} if address == "local" else {"address": address}
    try:
        host, colon, port = address.removeprefix("ray://").rpartition(":")
        if colon and port.isdigit():  # where nothing listens, Ray itself would try for minutes
            socket.create_connection((host, int(port)), timeout=CONNECT_TIMEOUT_S).close()
        ray.init(**where, log_to_driver=False, logging_level=logging.ERROR, ignore_reinit_error=True)
    except (OSError, ValueError, RuntimeError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise KagglekitError(
            f"there is no Ray cluster at '{address}': {first}",
            hint="start one with `ray start --head`, or leave out --cluster to use this machine alone",
        ) from error
    return ray


def check_version(version: str) -> None:
    """Raise VersionError where this node's kagglekit has another version than the caller's."""
    if version != __version__:
        raise VersionError(
            f"a node has kagglekit {__version__}, the caller {version}",
            hint="install the same version on all nodes",
        )


def put_file(ray: Any, path: Path) -> Iterator[Any]:
    """Put the bytes of a file into the cluster's memory, and yield references to its chunks."""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield ray.put(chunk)
