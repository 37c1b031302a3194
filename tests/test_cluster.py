"""Searches on Ray: what a lost node costs, and how clips come to a node that has none."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tiny

from kagglekit import config_file
from kagglekit.data.prepare import Prepared, prepare
from kagglekit.fetch import fetch
from kagglekit.hosts import open_host
from kagglekit.search import cluster
from kagglekit.workspace import Workspace

ROOT = Path(__file__).resolve().parents[1]
has_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="Ray is not installed: pip install 'kagglekit[cluster]'"
)


@pytest.fixture
def prepared(tmp_path: Path) -> tuple[Path, Prepared]:
    yaml = tiny.make(tmp_path / "tiny")
    config = config_file.load(yaml)
    workspace = Workspace(config)
    fetch(config, workspace, open_host(config, workspace.root))
    return yaml, prepare(config, workspace)


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
def test_a_cluster_that_is_not_there_is_explained(prepared: tuple[Path, Prepared]) -> None:
    command = [sys.executable, "-m", "kagglekit", "-C", str(prepared[0]), "--quiet", "tune", "--model", "gru"]
    options = ["--no-train", "--cluster", "127.0.0.1:1"]
    child = subprocess.run([*command, *options], capture_output=True, text=True, timeout=300, check=False)
    assert (child.returncode, child.stdout) == (1, "")
    assert "error: there is no Ray cluster at '127.0.0.1:1': " in child.stderr
    assert "hint:  start one: ray start --head; or use --jobs on this machine" in child.stderr
    assert "Traceback" not in child.stderr


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
    config = config_file.load(yaml)
    ray = fake_ray("node")
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setattr(cluster.tempfile, "gettempdir", lambda: str(tmp_path / "node"))
    monkeypatch.setattr(cluster, "CHUNK", 1000)
    kept = cluster._without_test(whole)
    files = cluster._put(ray, kept)
    elsewhere = {split: tmp_path / "not here" / folder.name for split, folder in kept.folders.items()}
    sent = cluster.replace(kept, folders=elsewhere)
    workspace, there = cluster.at_node(config, sent, files)
    assert workspace.root.is_relative_to(tmp_path / "node")
    assert there.folders.keys() == {"train", "silence"} and "test" not in set(there.clips["split"])
    for split in there.folders:
        assert there.folders[split].is_relative_to(workspace.root)
        np.testing.assert_array_equal(there.store(split)[:], whole.store(split)[:])
    stamp = max(path.stat().st_mtime_ns for path in workspace.root.rglob("*"))
    cluster.at_node(config, sent, {})  # once is enough
    assert max(path.stat().st_mtime_ns for path in workspace.root.rglob("*")) == stamp


def test_a_node_with_the_workspace_uses_it(prepared: tuple[Path, Prepared]) -> None:
    yaml, whole = prepared
    config = config_file.load(yaml)
    kept = cluster._without_test(whole)
    workspace, there = cluster.at_node(config, kept, {})
    assert there is kept and workspace.root == config.workspace


def test_a_node_with_another_kagglekit_is_refused(prepared: tuple[Path, Prepared]) -> None:
    yaml, whole = prepared
    order = cluster.FoldOrder(config_file.load(yaml), "gru", {}, "study", 0, 0, version="0.0.1")
    with pytest.raises(cluster.OtherVersion, match=r"a node has kagglekit .*, the search 0\.0\.1"):
        cluster.train_on_node(order, whole, {}, None)
