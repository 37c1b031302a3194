"""Training clips/s through the real loop, data included: `make bench`.

Fetches and prepares speech-mini where that is not done yet, then runs a few hundred steps of each
architecture, batches read from the feature cache and augmented as in training. Prints the median of
the rounds as text and JSON.
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path

from kagglekit.config_file import load
from kagglekit.data.clips import training_rows
from kagglekit.data.prepare import prepare
from kagglekit.fetch import fetch
from kagglekit.hosts import open_host
from kagglekit.training.loop import seconds_per_epoch
from kagglekit.training.plan import resolve
from kagglekit.training.run import head_for, make_dataset
from kagglekit.workspace import Workspace

ROUNDS, STEPS = 5, 20


def main(models: list[str]) -> None:
    """Measure each of `models`."""
    config = load(Path(__file__).with_name("speech_mini.yaml"))
    assert config.competition.local is not None
    if not config.competition.local.files.is_dir():
        print(f"skipped: there is no {config.competition.local.files.resolve()}")
        return
    workspace = Workspace(config)
    fetch(config, workspace, open_host(config, workspace.root))
    prepared = prepare(config, workspace)
    rates = {}
    for name in models:
        plan = resolve(config, name)
        dataset, head = make_dataset(config, workspace, prepared, plan), head_for(config, prepared, plan)
        rows = len(training_rows(dataset.clips, 0, config, plan.train.seed))
        clips = rows // plan.train.batch_size * plan.train.batch_size
        rounds = [clips / seconds_per_epoch(config, plan, dataset, head, STEPS) for _ in range(ROUNDS)]
        rates[name] = round(statistics.median(rounds))
        spread = f"{min(rounds):,.0f} to {max(rounds):,.0f}"
        print(f"{name}: {rates[name]:,} clips/s (median of {ROUNDS}, {spread})", flush=True)
    print(json.dumps(rates))


if __name__ == "__main__":
    main(sys.argv[1:] or ["tcresnet", "convs2s", "lstm", "gru"])
