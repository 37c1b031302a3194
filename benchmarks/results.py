"""Print the table of docs/RESULTS.md from the runs and the leaderboard log of speech-mini.

    python benchmarks/results.py [YAML] > table.md

A row is the mean over the seeds of an architecture with equal settings; +- is the standard deviation over
seeds. Of several settings, those with the best CV score are shown. Public scores are those of runs that were
submitted alone.
"""

from __future__ import annotations

import statistics
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from kagglekit.config.load import load_config
from kagglekit.config.yaml_file import read_yaml
from kagglekit.data.prepare import prepare
from kagglekit.files.keys import key_of
from kagglekit.files.workspace import Workspace
from kagglekit.runs.choose import best_runs
from kagglekit.runs.store import Run
from kagglekit.scoring.forecast import cv_vs_lb
from kagglekit.scoring.task import PARTS
from kagglekit.submission.ledger import Ledger, host_name
from kagglekit.training.files import HISTORY, SETTINGS

COLUMNS = (
    *("model", "parameters", "epochs", "minutes", "clips/s", "seeds", "plain", "OOF", "shift", "gain"),
    *("CV", "+-", "public", "CV - public", *PARTS),
)


def main() -> None:
    """Print a row for each trained model, and the comparison of CV with public scores."""
    config = load_config(
        Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("speech_mini.yaml")
    )
    workspace = Workspace(config)
    prepared = prepare(workspace)
    sent = {
        entry.runs[0]: entry.public
        for entry in Ledger(workspace.ledger_path).entries()
        if entry.host == host_name(config) and entry.public is not None and len(entry.runs) == 1
    }
    print(f"| {' | '.join(COLUMNS)} |")
    print("|" + "---|" * len(COLUMNS))
    pairs: list[tuple[float, float]] = []
    settings = defaultdict(list)
    for run in best_runs(prepared, ["runs"]):
        settings[name_of(run), settings_key(run)].append(run)
    best: dict[str, list[Run]] = {}
    for (model, _), runs in sorted(settings.items(), key=lambda item: mean(run.score.cv for run in item[1])):
        best[model] = runs
    for runs in best.values():
        print(f"| {' | '.join(row(runs, sent))} |")
        pairs += [(run.score.cv, public) for run in runs if (public := sent.get(run.id)) is not None]
    if len(pairs) > 2:
        print("\n" + str(cv_vs_lb(pairs)))


def name_of(run: Run) -> str:
    """Return the architecture, marked where the run was also trained on test clips or soft targets."""
    return f"{run.model}, student" if settings_of(run)["train"].get("soft_targets") else run.model


def settings_of(run: Run) -> dict[str, Any]:
    """Read the settings that the run was trained with."""
    return read_yaml(run.folder / SETTINGS)[1]


def settings_key(run: Run) -> str:
    """Return a key that is equal for runs that differ only in their seed."""
    settings = settings_of(run)
    del settings["train"]["seed"], settings["source"]
    return key_of(settings)


def row(runs: Sequence[Run], sent: dict[str, float]) -> list[str]:
    """Format the cells of one model."""
    scores, facts = [run.score for run in runs], runs[0].metrics
    cv, public = [score.cv for score in scores], [sent[run.id] for run in runs if run.id in sent]
    differences = [run.score.cv - sent[run.id] for run in runs if run.id in sent]
    return [
        name_of(runs[0]),
        f"{facts['parameters']:,}",
        str(len(pl.read_parquet(runs[0].folder / HISTORY).filter(fold=0))),
        f"{mean(run.metrics['train_seconds'] for run in runs) / 60:.1f}",
        f"{mean(run.metrics['clips_per_s'] for run in runs):,.0f}",
        str(len(runs)),
        f"{mean(score.plain for score in scores):.4f}",
        f"{mean(score.oof for score in scores):.4f}",
        f"{100 * mean(score.shift for score in scores):+.1f}",
        f"{100 * mean(score.gain for score in scores):+.1f}",
        f"{mean(cv):.4f}",
        f"{statistics.stdev(cv):.4f}" if len(cv) > 1 else "",
        f"{mean(public):.4f}" if public else "",
        f"{100 * mean(differences):+.1f}" if public else "",
        *(f"{mean(score.parts.get(part, float('nan')) for score in scores):.3f}" for part in PARTS),
    ]


mean = statistics.fmean


if __name__ == "__main__":
    main()
