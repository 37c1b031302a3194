"""Searches on Ray: what a lost node costs, and how clips come to a node that has none."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from support import tiny

from kagglekit.config.load import load_config
from kagglekit.data import shards
from kagglekit.data.prepare import Prepared, prepare
from kagglekit.errors import KagglekitError
from kagglekit.features.cache import log_mels
from kagglekit.files import parquet
from kagglekit.files.workspace import Workspace
from kagglekit.hosts import open_host
from kagglekit.hosts.fetch import fetch
from kagglekit.parallel import cluster
from kagglekit.runs.predict_test import predict_test_on
from kagglekit.runs.train import train_run
from kagglekit.scoring.predictions import logits_of
from kagglekit.search import cluster as search_cluster
from kagglekit.training.files import TEST
from kagglekit.training.inputs import inputs_of
from kagglekit.training.plan import resolve

ROOT = Path(__file__).resolve().parents[2]
has_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="Ray is not installed: pip install 'kagglekit[cluster]'"
)


@pytest.fixture
def prepared(tmp_path: Path) -> tuple[Path, Prepared]:
    yaml = tiny.make(tmp_path / "tiny")
    config = load_config(yaml)
    workspace = Workspace(config)
    fetch(workspace, open_host(config, workspace.root))
    return yaml, prepare(workspace)


@has_ray
@pytest.mark.slow
def test_a_node_that_is_lost_costs_no_trial() -> None:
    child = subprocess.run(
        [sys.executable, ROOT / "benchmarks/bench_ray.py", "--trials", "5"],
        capture_output=True,
        text=True,
        timeout=600,
        check=True,
    )
    found = json.loads(child.stdout.splitlines()[-1])
    assert (found["trials"], found["ended"], found["in the log"], found["doubled"]) == (5, 5, 5, 0)
    assert 2 <= found["ended when the node went"] < 5


@has_ray
@pytest.mark.slow
def test_shards_of_a_node_that_is_lost_are_done_again() -> None:
    child = subprocess.run(
        [sys.executable, ROOT / "benchmarks/bench_ray.py", "--shards"],
        capture_output=True,
        text=True,
        timeout=600,
        check=True,
    )
    found = json.loads(child.stdout.splitlines()[-1])
    assert found["shards"] == 14 and found["features"] and found["same clips"]
    assert found["logits"] < 1e-5


@has_ray
@pytest.mark.slow
def test_a_cluster_that_is_not_there_is_explained(prepared: tuple[Path, Prepared]) -> None:
    command = [sys.executable, "-m", "kagglekit", "-C", str(prepared[0]), "--quiet", "tune", "--model", "gru"]
    options = ["--no-train", "--cluster", "127.0.0.1:1"]
    child = subprocess.run([*command, *options], capture_output=True, text=True, timeout=300, check=False)
    assert (child.returncode, child.stdout) == (1, "")
    assert "error: there is no Ray cluster at '127.0.0.1:1': " in child.stderr
    assert (
        "hint:  start one with `ray start --head`, or leave out --cluster to use this machine alone"
        in child.stderr
    )
    assert "Traceback" not in child.stderr


@has_ray
def test_an_address_where_nobody_listens_is_known_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    monkeypatch.setattr(ray, "init", lambda **_: pytest.fail("Ray was asked, which takes minutes"))
    for address in ("127.0.0.1:1", "ray://127.0.0.1:1"):
        with pytest.raises(KagglekitError, match=f"there is no Ray cluster at '{address}': ") as caught:
            cluster.connect(address)
        assert caught.value.hint is not None and "ray start --head" in caught.value.hint


def fake_ray(node: str) -> SimpleNamespace:
    """The cluster's memory in this process's."""
    context = SimpleNamespace(get_node_id=lambda: node)
    return SimpleNamespace(
        put=lambda data: data,
        get=lambda data: data,
        nodes=lambda: [1, 2],
        get_runtime_context=lambda: context,
    )


def test_a_node_without_the_clips_fetches_them_by_key(
    prepared: tuple[Path, Prepared], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    yaml, whole = prepared
    load_config(yaml)
    ray = fake_ray("node")
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setattr(shards.tempfile, "gettempdir", lambda: str(tmp_path / "node"))
    monkeypatch.setattr(cluster, "CHUNK_BYTES", 1000)
    kept = shards.select_splits(whole, ("train", "silence"))
    files = shards.put_files(ray, kept)
    elsewhere = {split: tmp_path / "not here" / folder.name for split, folder in kept.folders.items()}
    sent = shards.replace(kept, folders=elsewhere)
    there = shards.fetch_files(sent, files)
    workspace = there.workspace
    assert workspace.root.is_relative_to(tmp_path / "node")
    assert there.folders.keys() == {"train", "silence"} and "test" not in set(there.clips["split"])
    for split in there.folders:
        assert there.folders[split].is_relative_to(workspace.root)
        np.testing.assert_array_equal(there.store(split)[:], whole.store(split)[:])
    stamp = max(path.stat().st_mtime_ns for path in workspace.root.rglob("*"))
    shards.fetch_files(sent, {})  # once is enough
    assert max(path.stat().st_mtime_ns for path in workspace.root.rglob("*")) == stamp


def test_a_node_with_the_workspace_uses_it(prepared: tuple[Path, Prepared]) -> None:
    yaml, whole = prepared
    config = load_config(yaml)
    kept = shards.select_splits(whole, ("train", "silence"))
    there = shards.fetch_files(kept, {})
    assert there is kept and there.workspace.root == config.workspace


def test_a_node_with_another_kagglekit_is_refused(prepared: tuple[Path, Prepared]) -> None:
    _yaml, whole = prepared
    order = search_cluster.FoldOrder("gru", {}, "study", 0, 0, version="0.0.1")
    with pytest.raises(cluster.VersionError, match=r"a node has kagglekit .*, the caller 0\.0\.1"):
        search_cluster.train_on_node(order, whole, {}, None)


class OneTask:
    """Ray with a node that does every task at once, in this process."""

    exceptions = SimpleNamespace(RayTaskError=type("RayTaskError", (Exception,), {}), RayError=Exception)

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []

    def remote(self, **resources: float) -> Callable[..., SimpleNamespace]:
        def wrap(work: Callable[..., object]) -> SimpleNamespace:
            def task(*args: object) -> object:
                self.asked.append((args[4], args[5]))  # type: ignore[arg-type]
                return work(*args)

            return SimpleNamespace(remote=task)

        return wrap

    def put(self, data: object) -> object:
        return data

    get = put

    def nodes(self) -> list[int]:
        return [1]

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 2.0}


@pytest.mark.parametrize("params", [{}, {"train.tta_ms": (-40.0, 40.0)}])
def test_features_and_test_logits_in_shards_are_those_made_here(
    prepared: tuple[Path, Prepared], monkeypatch: pytest.MonkeyPatch, params: dict[str, object]
) -> None:
    config, whole = load_config(prepared[0], ["train.epochs=1"]), prepared[1]
    workspace, plan = Workspace(config), resolve(config, "gru", params)
    run = train_run(whole, plan)
    told = parquet.read(run.folder / TEST, "", bound=True)
    for path in (*run.folder.rglob(TEST), *workspace.features.rglob("*.npy")):
        path.unlink()
    shutil.rmtree(workspace.features)
    monkeypatch.setattr(shards, "SHARD", 7)
    ray = OneTask()
    shared = shards.Shards(ray, whole)
    again = predict_test_on(shared, run.folder)
    assert ray.asked == [(0, 7), (7, 14), (14, 21), (21, 24)]
    assert again["clip_id"].equals(told["clip_id"])
    np.testing.assert_allclose(logits_of(again), logits_of(told), atol=1e-5)
    assert not workspace.features.exists()  # a shard's log-mels are in memory alone
    kept = inputs_of(whole, plan, "test", shared)
    np.testing.assert_array_equal(
        kept, np.concatenate(list(log_mels(whole.store("test"), plan.features, config.audio)))
    )
    assert predict_test_on(shared, run.folder).equals(again) and len(ray.asked) == 8  # nothing is done twice


def test_work_that_fails_on_a_node_says_what_it_would_say_here(prepared: tuple[Path, Prepared]) -> None:
    _config, whole = load_config(prepared[0]), prepared[1]
    ray = OneTask()

    def get(ref: object) -> object:
        error = ray.exceptions.RayTaskError()
        error.cause = KagglekitError("there is no weight", hint="fetch it")
        raise error

    ray.get = get  # type: ignore[method-assign, assignment]
    shared = shards.Shards(ray, whole)
    with pytest.raises(KagglekitError, match="there is no weight"):
        list(shared.run(lambda *_: np.zeros(1), "test"))
