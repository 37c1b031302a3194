"""How long a journal of 10,000 trials takes to open.

    python benchmarks/bench_journal.py

Each trial has 20 parameters and 10 scores. Processor time counts, to which other work adds little.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from pathlib import Path

import optuna

TRIALS, MODEL = 10_000, 100  # Optuna makes the first 100 trials; the others are copies of them
REPEATS = 3


def main() -> None:
    from kagglekit.search.storage import open_journal

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.journal"
        make(path)
        lines = path.read_bytes().count(b"\n")
        print(f"{TRIALS:,} trials, {lines:,} lines, {path.stat().st_size / 1e6:.0f} MB")
        times = []
        for _ in range(REPEATS):
            cpu, clock = time.process_time(), time.monotonic()
            assert len(open_journal(path).get_all_trials(0, deepcopy=False)) == TRIALS
            times.append((time.process_time() - cpu, time.monotonic() - clock))
        cpu, wall = (statistics.median(column) for column in zip(*times, strict=True))
        print(f"opening: {cpu:.2f} s of processor, {wall:.2f} s by the clock, medians of {REPEATS}")


def make(path: Path) -> None:
    """Write a journal as a long search leaves it."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    few = path.with_suffix(".few")
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(few)))
    study = optuna.create_study(storage=storage, sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(MODEL):
        trial = study.ask()
        values = [trial.suggest_float(f"train.augment.p{index}", 0, 1) for index in range(20)]
        for step in range(10):
            trial.report(values[step], step)
        study.tell(trial, values[0])
    made, *logs = [json.loads(line) for line in few.read_text(encoding="utf-8").splitlines()]
    with path.open("w", encoding="utf-8") as file:
        file.write(json.dumps(made) + "\n")
        for first in range(0, TRIALS, MODEL):
            for log in logs:
                moved = {"trial_id": log["trial_id"] + first} if "trial_id" in log else {}
                file.write(json.dumps({**log, **moved}) + "\n")


if __name__ == "__main__":
    main()
