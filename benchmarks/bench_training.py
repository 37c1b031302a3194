"""Training clips/s through the real loop, data included: `make bench`.

Fetches and prepares speech-mini where that is not done yet, then trains one fold of each architecture
for a few epochs, as `kagglekit train` does. Prints the median epoch's rate as text and JSON; validation
between epochs is not in it.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from pathlib import Path

from kagglekit.config_file import load
from kagglekit.data.prepare import prepare
from kagglekit.fetch import fetch
from kagglekit.hosts import open_host
from kagglekit.training.loop import META, Fold, train_fold
from kagglekit.training.plan import resolve, with_epochs
from kagglekit.training.run import head_for, make_dataset
from kagglekit.workspace import Workspace

EPOCHS = 5


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
        plan = with_epochs(resolve(config, name), EPOCHS)
        dataset, head = make_dataset(config, workspace, prepared, plan), head_for(config, prepared, plan)
        with tempfile.TemporaryDirectory() as folder:
            train_fold(Fold(config, plan, dataset, head, 0, Path(folder, "fold")))
            history = json.loads(Path(folder, "fold", META).read_text(encoding="utf-8"))["history"]
        rounds = [epoch["clips_per_s"] for epoch in history]
        rates[name] = round(statistics.median(rounds))
        spread = f"{min(rounds):,.0f} to {max(rounds):,.0f}"
        print(f"{name}: {rates[name]:,} clips/s (median of {EPOCHS} epochs, {spread})", flush=True)
    print(json.dumps(rates))


if __name__ == "__main__":
    main(sys.argv[1:] or ["tcresnet", "convs2s", "lstm", "gru"])
