"""Work on a split's clips, shared out to a cluster in shards; and the splits as a node has them.

A node that has the workspace mounted uses it; another fetches the splits that it needs by their keys, once.
"""

from __future__ import annotations

import os
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

from kagglekit import __version__
from kagglekit.data.prepare import Prepared
from kagglekit.errors import KagglekitError
from kagglekit.files.atomic import building, done_key
from kagglekit.files.workspace import Workspace
from kagglekit.parallel.cluster import TRIES, chunks, connect, same_version
from kagglekit.terminal import console

SHARD = 1024  # clips, 32 MB of them and some seconds of work
AHEAD = 2  # shards for each core that are on their way before the first of them is taken

Files = Mapping[str, Mapping[str, list[Any]]]
"""Chunks of each file of each split's folder, as references to objects in the cluster's memory."""
Work = Callable[[Prepared, str, int, int], NDArray[Any]]
"""(prepared, split, first row, row behind the last) -> an array with a row for each clip."""


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
            str(path.relative_to(folder)): list(chunks(ray, path))
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
        for split, folder in prepared.folders.items()
    }


def at_node(prepared: Prepared, files: Files) -> Prepared:
    """What is prepared as this node has it: mounted, or fetched by key into a folder of its own."""
    folders = prepared.folders
    if all(done_key(folder) == prepared.keys[split] for split, folder in folders.items()):
        return prepared
    import ray

    root = Path(tempfile.gettempdir()) / f"kagglekit-{os.getuid()}" / ray.get_runtime_context().get_node_id()
    workspace = Workspace(prepared.config.model_copy(update={"workspace": root}))
    here = {split: workspace.audio / folder.name for split, folder in folders.items()}
    for split, folder in here.items():
        with building(folder, prepared.keys[split]) as part:
            for name, pieces in files[split].items() if part is not None else ():
                assert part is not None
                path = part / name
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("wb") as file:
                    for chunk in pieces:
                        file.write(cast(bytes, ray.get(chunk)))
    return replace(prepared, workspace=workspace, folders=here)


@dataclass(frozen=True)
class Shards:
    """Work on the clips of splits, shared out to a cluster."""

    ray: Any
    prepared: Prepared
    """The settings `search.cpus` and `search.gpus` are what one shard is given."""

    def run(self, work: Work, split: str) -> Iterator[NDArray[Any]]:
        """Results of the split's shards, in the order of its clips; what a lost node had is done again.

        Raises:
            KagglekitError: the work failed, as it would here; or it was lost too often.
        """
        wanted, ray = only(self.prepared, [split]), self.ray
        cpus = self.prepared.config.search.cpus
        task = ray.remote(num_cpus=cpus, num_gpus=self.prepared.config.search.gpus, max_retries=TRIES - 1)(
            _on_node
        )
        common = [ray.put(part) for part in (wanted, work)]
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
def shards(prepared: Prepared, address: str | None) -> Iterator[Shards | None]:
    """A cluster to share work out to, while it is needed; None where there is no address.

    Raises:
        KagglekitError: there is no cluster, or no Ray.
    """
    if address is None:
        yield None
        return
    ray = connect(address)
    try:
        yield Shards(ray, prepared)
    finally:
        ray.shutdown()


def _on_node(
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
    torch.set_num_threads(prepared.config.search.cpus)
    here = at_node(prepared, files)
    return np.ascontiguousarray(work(here, split, start, stop))
