"""A Ray cluster: connecting to it, what a node works on, and work on a split's clips, shared out in shards.

A node that has the workspace mounted uses it; another fetches the splits that it needs by their keys, once.
"""

from __future__ import annotations

import logging
import os
import socket
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kagglekit import __version__, console
from kagglekit.config import Config
from kagglekit.data.prepare import Prepared
from kagglekit.errors import KagglekitError, MissingError
from kagglekit.workspace import Workspace, building, done_key

KNOCK_S = 10.0  # until an address without an answer is taken for wrong
TRIES = 4  # of what is lost with its node or process
CHUNK = 64 * 2**20  # bytes of a file in one object of the cluster's memory
SHARD = 1024  # clips, 32 MB of them and some seconds of work
AHEAD = 2  # shards for each core that are on their way before the first of them is taken

Files = Mapping[str, Mapping[str, list[Any]]]
"""Chunks of each file of each split's folder, as references to objects in the cluster's memory."""
Work = Callable[[Config, Prepared, str, int, int], NDArray[Any]]
"""(config, prepared, split, first row, row behind the last) -> an array with a row for each clip."""


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


def only(prepared: Prepared, splits: Sequence[str]) -> Prepared:
    """The part of what is prepared that some work needs."""
    folders = {split: folder for split, folder in prepared.folders.items() if split in splits}
    return replace(prepared, clips=prepared.clips.filter(pl.col("split").is_in(splits)), folders=folders)


def ship(ray: Any, prepared: Prepared) -> dict[str, dict[str, list[Any]]]:
    """The splits' files in the cluster's memory, for nodes that do not have them."""
    if len(ray.nodes()) == 1:
        return {split: {} for split in prepared.folders}
    return {
        split: {
            str(path.relative_to(folder)): list(_chunks(ray, path))
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
        for split, folder in prepared.folders.items()
    }


def _chunks(ray: Any, path: Path) -> Any:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield ray.put(chunk)


def at_node(config: Config, prepared: Prepared, files: Files) -> tuple[Workspace, Prepared]:
    """The workspace as this node has it: mounted, or fetched by key into a folder of its own."""
    folders = prepared.folders
    if all(done_key(folder) == prepared.keys[split] for split, folder in folders.items()):
        return Workspace(config), prepared
    import ray

    root = Path(tempfile.gettempdir()) / f"kagglekit-{os.getuid()}" / ray.get_runtime_context().get_node_id()
    workspace = Workspace(config.model_copy(update={"workspace": root}))
    here = {split: workspace.audio / folder.name for split, folder in folders.items()}
    for split, folder in here.items():
        with building(folder, prepared.keys[split]) as part:
            for name, chunks in files[split].items() if part is not None else ():
                assert part is not None
                path = part / name
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("wb") as file:
                    for chunk in chunks:
                        file.write(cast(bytes, ray.get(chunk)))
    return workspace, replace(prepared, folders=here)


@dataclass(frozen=True)
class Shards:
    """Work on the clips of splits, shared out to a cluster."""

    ray: Any
    config: Config
    """`search.cpus` and `search.gpus` are what one shard is given."""
    prepared: Prepared

    def run(self, work: Work, split: str) -> Iterator[NDArray[Any]]:
        """Results of the split's shards, in the order of its clips; what a lost node had is done again.

        Raises:
            KagglekitError: the work failed, as it would here; or it was lost too often.
        """
        wanted, ray = only(self.prepared, [split]), self.ray
        cpus = self.config.search.cpus
        task = ray.remote(num_cpus=cpus, num_gpus=self.config.search.gpus, max_retries=TRIES - 1)(_on_node)
        common = [ray.put(part) for part in (self.config, wanted, work)]
        files, clips = ship(ray, wanted), len(wanted.store(split))
        ahead = AHEAD * max(int(ray.cluster_resources().get("CPU", 1)) // cpus, 1)
        waiting: deque[Any] = deque()
        for start in range(0, clips, SHARD):
            stop = min(start + SHARD, clips)
            waiting.append(task.remote(*common, files, split, start, stop, __version__))
            if len(waiting) > ahead:
                yield self._taken(waiting.popleft())
        while waiting:
            yield self._taken(waiting.popleft())

    def _taken(self, ref: Any) -> NDArray[Any]:
        try:
            return cast(NDArray[Any], self.ray.get(ref))
        except self.ray.exceptions.RayTaskError as error:
            raise error.cause from error
        except self.ray.exceptions.RayError as error:
            raise KagglekitError(
                f"a shard was lost {TRIES} times with its node: {str(error).splitlines()[0]}",
                hint="look after the nodes (`ray status`) and run it again",
            ) from error


@contextmanager
def shards(config: Config, prepared: Prepared, address: str | None) -> Iterator[Shards | None]:
    """A cluster to share work out to, while it is needed; None where there is no address.

    Raises:
        KagglekitError: there is no cluster, or no Ray.
    """
    if address is None:
        yield None
        return
    ray = connect(address)
    try:
        yield Shards(ray, config, prepared)
    finally:
        ray.shutdown()


def _on_node(
    config: Config,
    prepared: Prepared,
    work: Work,
    files: Files,
    split: str,
    start: int,
    stop: int,
    version: str,
) -> NDArray[Any]:
    """One shard, on a node."""
    import torch

    same_version(version)
    console.configure(quiet=True)
    torch.set_num_threads(config.search.cpus)
    _, here = at_node(config, prepared, files)
    return np.ascontiguousarray(work(config, here, split, start, stop))
