"""A search on two Ray nodes in this machine, one of them removed in the middle: what is lost, or doubled.

    python benchmarks/bench_ray.py        # a minute or two

A tiny competition is made in a temporary folder.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from pathlib import Path

from optuna.trial import FrozenTrial, TrialState

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import tiny

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=8)
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
            print(json.dumps(search(tiny.make(Path(folder)), cluster, second, args.trials)))
        finally:
            cluster.shutdown()


def search(yaml: Path, cluster: object, second: object, trials: int) -> dict[str, object]:
    """The search; its second node goes when two trials have ended."""
    from kagglekit import config_file
    from kagglekit.data.prepare import prepare
    from kagglekit.fetch import fetch
    from kagglekit.hosts import open_host
    from kagglekit.search.study import open_desk
    from kagglekit.search.tune import tune
    from kagglekit.training.plan import resolve
    from kagglekit.workspace import Workspace

    config = config_file.load(yaml, ["search.epochs=10", "search.folds=2"])
    workspace = Workspace(config)
    fetch(config, workspace, open_host(config, workspace.root))
    prepared = prepare(config, workspace)

    def read() -> list[FrozenTrial]:
        with open_desk(config, workspace, prepared, resolve(config, "gru")) as desk:
            return desk.study.get_trials(deepcopy=False)

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
    found = tune(config, workspace, prepared, "gru", trials=trials, cluster=address)
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


if __name__ == "__main__":
    main()
