"""Distribute work on a split's clips to a Ray cluster in shards.

A node that mounts the workspace reads the splits there; another fetches those it needs, once for each key.
"""

import os
import stat
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
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
from kagglekit.parallel.cluster import TRIES, check_version, connect, put_file
from kagglekit.terminal import console

SHARD = 1024  # clips: 32 MB, and some seconds of work
AHEAD = 2  # shards submitted ahead of the results, for each worker

SplitFiles = Mapping[str, Mapping[str, list[Any]]]
"""For each split, each file of its folder as chunks: references into Ray's object store."""
Work = Callable[[Prepared, str, int, int], NDArray[Any]]
"""(prepared, split, start, stop) to an array with a row for each of the store's rows start ... stop - 1."""


def select_splits(prepared: Prepared, splits: Sequence[str]) -> Prepared:
    """Return the prepared data of some splits alone."""
    folders = {split: folder for split, folder in prepared.folders.items() if split in splits}
    return replace(prepared, clips=prepared.clips.filter(pl.col("split").is_in(splits)), folders=folders)


def put_files(ray: Any, prepared: Prepared) -> dict[str, dict[str, list[Any]]]:
    """Put the splits' files into Ray's object store, unless the cluster is this machine alone."""
    if len(ray.nodes()) == 1:
        return {split: {} for split in prepared.folders}
    return {
        split: {
            str(path.relative_to(folder)): list(put_file(ray, path))
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
        for split, folder in prepared.folders.items()
    }


def fetch_files(prepared: Prepared, files: SplitFiles) -> Prepared:
    """Return the prepared data in folders that this node can read, fetched from `files` if need be."""
    folders = prepared.folders
    if all(done_key(folder) == prepared.keys[split] for split, folder in folders.items()):
        return prepared
    import ray

    root = private_folder() / ray.get_runtime_context().get_node_id()
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


def private_folder() -> Path:
    """Return a folder below the temporary one that nobody else can read, write or have put there.

    Raises:
        KagglekitError: there is one that another user owns or may write to, or a link.
    """
    folder = Path(tempfile.gettempdir()) / f"kagglekit-{os.getuid()}"
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700, parents=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise KagglekitError(
            f"{folder} is not a private folder of this user, and somebody else may have put it there",
            hint="remove it, or set TMPDIR to another folder",
        )
    return folder


@dataclass(frozen=True)
class Shards:
    """A cluster that works on the clips of splits, `search.cpus` and `search.gpus` for each shard."""

    ray: Any
    prepared: Prepared

    def run(self, work: Work, split: str) -> Iterator[NDArray[Any]]:
        """Yield the results of the split's shards in the order of its clips; lost nodes' shards run again.

        Raises:
            KagglekitError: the work failed, or its node was lost too often.
        """
        wanted, ray = select_splits(self.prepared, [split]), self.ray
        cpus, gpus = self.prepared.config.search.cpus, self.prepared.config.search.gpus
        task = ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=TRIES - 1)(_run_shard)
        common = [ray.put(part) for part in (wanted, work)]
        files, clips = put_files(ray, wanted), len(wanted.store(split))
        ahead = AHEAD * max(int(ray.cluster_resources().get("CPU", 1)) // cpus, 1)
        waiting: deque[Any] = deque()
        for start in range(0, clips, SHARD):
            stop = min(start + SHARD, clips)
            waiting.append(task.remote(*common, files, split, start, stop, __version__))
            if len(waiting) > ahead:
                yield self._result(waiting.popleft())
        while waiting:
            yield self._result(waiting.popleft())

    def _result(self, ref: Any) -> NDArray[Any]:
        try:
            return cast(NDArray[Any], self.ray.get(ref))
        except self.ray.exceptions.RayTaskError as error:
            raise error.cause from error
        except self.ray.exceptions.RayError as error:
            raise KagglekitError(
                f"a shard was lost {TRIES} times with its node: {str(error).splitlines()[0]}",
                hint="check the nodes with `ray status` and run the command again",
            ) from error


@contextmanager
def shards(prepared: Prepared, address: str | None) -> Iterator[Shards | None]:
    """Connect to a cluster for the duration of the block; yield None if there is no address.

    Raises:
        KagglekitError: there is no cluster at the address, or Ray is not installed.
    """
    if address is None:
        yield None
        return
    ray = connect(address)
    try:
        yield Shards(ray, prepared)
    finally:
        ray.shutdown()


def _run_shard(
    prepared: Prepared, work: Work, files: SplitFiles, split: str, start: int, stop: int, version: str
) -> NDArray[Any]:
    """Run one shard on a node."""
    import torch

    check_version(version)
    console.configure(quiet=True)
    torch.set_num_threads(prepared.config.search.cpus)
    return np.ascontiguousarray(work(fetch_files(prepared, files), split, start, stop))
