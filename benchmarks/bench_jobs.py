"""Two folds side by side on half the cores each, against one after the other on all of them: `make bench`.

Fetches and prepares speech-mini where that is not done yet, then trains two folds of each architecture for
a few epochs, both ways in turn. Prints the median ratio of clips/s as text and JSON; starting the processes
is not in it.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from pathlib import Path

from kagglekit.config.load import load_config
from kagglekit.data.prepare import prepare
from kagglekit.files.workspace import Workspace
from kagglekit.hosts import open_host
from kagglekit.hosts.fetch import fetch
from kagglekit.runs.folds import train_folds
from kagglekit.runs.setup import head_for, make_dataset
from kagglekit.terminal import console
from kagglekit.training.files import META
from kagglekit.training.loop import Fold
from kagglekit.training.plan import resolve, with_epochs

EPOCHS, ROUNDS, FOLDS = 3, 5, 2


def main(models: list[str]) -> None:
    """Measure each of `models`."""
    console.configure(quiet=True)
    config = load_config(Path(__file__).with_name("speech_mini.yaml"))
    assert config.competition.local is not None
    if not config.competition.local.files.is_dir():
        print(f"skipped: there is no {config.competition.local.files.resolve()}")
        return
    workspace = Workspace(config)
    fetch(workspace, open_host(config, workspace.root))
    prepared = prepare(workspace)
    ratios = {}
    for name in models:
        plan = with_epochs(resolve(config, name), EPOCHS)
        dataset, head = make_dataset(prepared, plan), head_for(prepared, plan)
        rates: dict[int, list[float]] = {1: [], FOLDS: []}
        for _ in range(ROUNDS):
            for jobs in rates:
                set_to = config.model_copy(update={"jobs": jobs})
                with tempfile.TemporaryDirectory() as folder:
                    folds = [Fold(set_to, plan, dataset, head, n, Path(folder, str(n))) for n in range(FOLDS)]
                    train_folds(folds)
                    rates[jobs].append(jobs * statistics.mean(last_rate(fold.folder) for fold in folds))
        alone, together = (statistics.median(rates[jobs]) for jobs in (1, FOLDS))
        ratios[name] = round(together / alone, 2)
        print(
            f"{name}: {together:,.0f} clips/s side by side, {alone:,.0f} in turn: {ratios[name]:.2f} x "
            f"(medians of {ROUNDS}; {min(rates[FOLDS]):,.0f} to {max(rates[FOLDS]):,.0f}, "
            f"{min(rates[1]):,.0f} to {max(rates[1]):,.0f})",
            flush=True,
        )
    print(json.dumps(ratios))


def last_rate(folder: Path) -> float:
    """Clips/s of a fold's last epoch, when all processes have begun."""
    history = json.loads((folder / META).read_text(encoding="utf-8"))["history"]
    return float(history[-1]["clips_per_s"])


if __name__ == "__main__":
    main(sys.argv[1:] or ["tcresnet", "convs2s", "lstm", "gru"])
