"""Work on two Ray nodes in this machine, one of them removed in the middle: what is lost, or doubled.

    python benchmarks/bench_ray.py            # a search, a minute or two
    python benchmarks/bench_ray.py --shards   # features and test logits in shards, against those made here

A tiny competition is made in a temporary folder.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import sys
import tempfile
import threading
import time
from pathlib import Path

from optuna.trial import FrozenTrial, TrialState

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from support import tiny

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--shards", action="store_true")
    args = parser.parse_args()
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    try:
        from ray.cluster_utils import Cluster
    except ImportError:
        print("skipped: Ray is not installed; pip install 'kagglekit[cluster]'")
        return
    with tempfile.TemporaryDirectory() as folder:
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
        second = cluster.add_node(num_cpus=1)
        try:
            yaml = tiny.make(Path(folder))
            found = (
                shards(yaml, cluster, second) if args.shards else search(yaml, cluster, second, args.trials)
            )
            print(json.dumps(found))
        finally:
            cluster.shutdown()


def search(yaml: Path, cluster: object, second: object, trials: int) -> dict[str, object]:
    """The search; its second node goes when two trials have ended."""
    from kagglekit.config.load import load_config
    from kagglekit.data.prepare import prepare
    from kagglekit.files.workspace import Workspace
    from kagglekit.hosts import open_host
    from kagglekit.hosts.fetch import fetch
    from kagglekit.search.study import open_study
    from kagglekit.search.tune import tune
    from kagglekit.training.plan import resolve

    config = load_config(yaml, ["search.epochs=10", "search.folds=2"])
    workspace = Workspace(config)
    fetch(workspace, open_host(config, workspace.root))
    prepared = prepare(workspace)

    def read() -> list[FrozenTrial]:
        with open_study(prepared, resolve(config, "gru")) as handle:
            return handle.study.get_trials(deepcopy=False)

    removed: list[int] = []

    def remove() -> None:
        while sum(trial.state in FINISHED for trial in read()) < 2:
            time.sleep(0.2)
        while not any(t.state == TrialState.RUNNING and t.intermediate_values for t in read()):
            time.sleep(0.2)
        cluster.remove_node(second, allow_graceful=False)  # type: ignore[attr-defined]
        removed.append(sum(trial.state in FINISHED for trial in read()))

    threading.Thread(target=remove, daemon=True).start()
    started = time.monotonic()
    address = cluster.address  # type: ignore[attr-defined]
    found = tune(prepared, "gru", trials=trials, cluster=address)
    ended = [trial for trial in read() if trial.state in FINISHED]
    return {
        "trials": found.trials,
        "in the log": len(read()),
        "ended": len(ended),
        "ended when the node went": removed[0] if removed else None,
        "doubled": len(ended) - len({str(sorted(trial.params.items())) for trial in ended}),
        "best": found.value,
        "seconds": round(time.monotonic() - started, 1),
    }


def shards(yaml: Path, cluster: object, second: object) -> dict[str, object]:
    """Log-mels of the train clips, the second node going after two shards; then a run's test logits."""
    import numpy as np

    import kagglekit.data.shards
    from kagglekit.config.load import load_config
    from kagglekit.data.prepare import prepare
    from kagglekit.files import parquet
    from kagglekit.files.workspace import Workspace
    from kagglekit.hosts import open_host
    from kagglekit.hosts.fetch import fetch
    from kagglekit.runs.predict_test import predict_test_on
    from kagglekit.runs.train import train_run
    from kagglekit.scoring.predictions import logits_of
    from kagglekit.training.files import TEST
    from kagglekit.training.inputs import _log_mels, inputs_of
    from kagglekit.training.plan import resolve

    kagglekit.data.shards.SHARD = 3
    config = load_config(yaml, ["train.epochs=1"])
    workspace = Workspace(config)
    fetch(workspace, open_host(config, workspace.root))
    prepared, plan = prepare(workspace), resolve(config, "gru")
    here = inputs_of(prepared, plan, "train")[:]
    run = train_run(prepared, plan)
    told = parquet.read(run.folder / TEST, "")
    for path in run.folder.rglob(TEST):
        path.unlink()
    address = cluster.address  # type: ignore[attr-defined]
    with kagglekit.data.shards.shards(prepared, address) as shared:
        assert shared is not None
        parts = []
        for part in shared.run(functools.partial(_log_mels, plan.features), "train"):
            parts.append(part)
            if len(parts) == 2:
                cluster.remove_node(second, allow_graceful=False)  # type: ignore[attr-defined]
        again = predict_test_on(shared, run.folder)
    return {
        "shards": len(parts),
        "features": bool(np.array_equal(np.concatenate(parts), here)),
        "logits": float(np.abs(logits_of(again) - logits_of(told)).max()),
        "clips": len(again),
        "same clips": again["clip_id"].equals(told["clip_id"]),
    }


if __name__ == "__main__":
    main()
