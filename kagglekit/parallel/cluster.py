"""A Ray cluster: connecting to it, and files in its memory."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kagglekit import __version__
from kagglekit.errors import KagglekitError, MissingError

KNOCK_S = 10.0  # until an address without an answer is taken for wrong
TRIES = 4  # of what is lost with its node or process
CHUNK = 64 * 2**20  # bytes of a file in one object of the cluster's memory


class OtherVersion(KagglekitError):
    """A node whose kagglekit is not the caller's."""


def connect(address: str) -> Any:
    """Ray, connected; `local` begins a cluster of this machine alone.

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
        _knock(address)
        ray.init(**where, log_to_driver=False, logging_level=logging.ERROR, ignore_reinit_error=True)
    except (OSError, ValueError, RuntimeError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise KagglekitError(
            f"there is no Ray cluster at '{address}': {first}",
            hint="start one: ray start --head; or leave --cluster out, for this machine alone",
        ) from error
    return ray


def _knock(address: str) -> None:
    """Raise OSError where nobody listens at host:port: Ray itself would try for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host, int(port)), timeout=KNOCK_S).close()


def same_version(version: str) -> None:
    """On a node: raises OtherVersion where the caller's kagglekit is another."""
    if version != __version__:
        raise OtherVersion(
            f"a node has kagglekit {__version__}, the caller {version}", hint="install the same on all nodes"
        )


def chunks(ray: Any, path: Path) -> Iterator[Any]:
    """A file's bytes as references to objects in the cluster's memory."""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield ray.put(chunk)
