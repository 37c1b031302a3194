"""SIGKILL a search again and again: what is lost, what is doubled, how soon it works again.

    python benchmarks/bench_kills.py              # 30 kills at seeded random moments of one study, minutes
    python benchmarks/bench_kills.py --kills 5 --seed 1

A tiny competition is made in a temporary folder; the search is `kagglekit tune` in a process of its own.
After every kill the journal is read, and what it had before is compared with what it has then.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import optuna
from optuna.trial import FrozenTrial, TrialState

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from support import tiny

SETTINGS = ["search.epochs=4", "search.folds=2", "train.batch_size=4"]
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
EARLY, EARLY_S = 0.2, 4.0
"""Share of the kills that come while the command starts, within so many seconds."""
WRITTEN, LATE_S = 16_000, 0.3
"""The others come when the journal has grown by up to so many bytes (two trials), and up to so many seconds
later: measured so, a busy machine gets no fewer trials done between two kills."""


class Kill(NamedTuple):
    """One kill and what came after it."""

    at_s: float
    """Seconds after the command was started."""
    finished: int
    """Trials that had ended before it."""
    lost: int
    """Of those, how many were gone or different afterwards."""
    resume_s: float
    """From the next start of the command to the beginning of a trial."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        yaml = tiny.make(Path(folder))
        for call in ([*command(yaml, 1)[:5], "fetch"], command(yaml, 1)):
            subprocess.run([*call, "--quiet"], check=True, stdout=subprocess.DEVNULL)
        print(table(*kill_often(yaml, args.kills, random.Random(args.seed))))


def command(yaml: Path, trials: int) -> list[str]:
    """The search, as a user types it."""
    settings = [word for setting in SETTINGS for word in ("--set", setting)]
    call = [sys.executable, "-m", "kagglekit", "-C", str(yaml), "tune", "--model", "gru", "--no-train"]
    return [*call, *settings, "--trials", str(trials)]


def kill_often(yaml: Path, kills: int, chance: random.Random) -> tuple[list[Kill], list[FrozenTrial], str]:
    """Kill the search, begin it again, and at last let it end."""
    journal = yaml.parent / ".kagglekit/studies/gru.journal"
    done: list[Kill] = []
    before: dict[int, Any] = finished(journal)
    for _ in range(kills):
        size, started = journal.stat().st_size, time.monotonic()
        child = subprocess.Popen(command(yaml, 10_000), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        early = chance.random() < EARLY
        if early:
            resumed = wait(journal, size, started + chance.uniform(0.0, EARLY_S), child)
        else:
            resumed = wait(journal, size, started + 600, child)
            wait(journal, size + chance.uniform(0, WRITTEN), started + 600, child)
            time.sleep(chance.uniform(0.0, LATE_S))
        died = time.monotonic() - started
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        now = finished(journal)
        lost = sum(now.get(number) != trial for number, trial in before.items())
        done.append(Kill(died, len(now), lost, resumed - started if resumed else float("nan")))
        before = now
    end = subprocess.run(
        command(yaml, len(before) + 2),
        check=True,
        stderr=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    lost = sum(finished(journal).get(number) != trial for number, trial in before.items())
    done.append(Kill(float("nan"), len(finished(journal)), lost, float("nan")))
    return done, read(journal), end.stdout.splitlines()[0]


def wait(journal: Path, size: float, until: float, child: subprocess.Popen[bytes]) -> float | None:
    """When the journal first was larger than that; None: not in time."""
    while time.monotonic() < until:
        assert child.poll() is None, "the search ended by itself"
        if journal.stat().st_size > size:
            return time.monotonic()
        time.sleep(0.01)
    return None


def read(journal: Path) -> list[FrozenTrial]:
    """The study's trials, from the file as it lies there."""
    copy = journal.with_suffix(".copy")
    copy.write_bytes(journal.read_bytes()[: journal.read_bytes().rfind(b"\n") + 1])
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(copy)))
    (name,) = optuna.get_all_study_names(storage)
    return optuna.load_study(study_name=name, storage=storage).get_trials(deepcopy=False)


def finished(journal: Path) -> dict[int, Any]:
    """What must never change: number, parameters and value of each trial that has ended."""
    return {t.number: (t.state, t.params, t.values) for t in read(journal) if t.state in FINISHED}


def table(kills: list[Kill], trials: list[FrozenTrial], said: str) -> str:
    """The kills, one a line, and what they come to."""
    ended = [trial for trial in trials if trial.state in FINISHED]
    doubled = len(ended) - len({str(sorted(trial.params.items())) for trial in ended})
    best = max(trial.values[0] for trial in trials if trial.state == TrialState.COMPLETE)
    resumes = [kill.resume_s for kill in kills if kill.resume_s == kill.resume_s]
    rows = [
        f"| {n} | {kill.at_s:.2f} | {kill.finished} | {kill.lost} | {kill.resume_s:.2f} |"
        for n, kill in enumerate(kills[:-1], start=1)
    ]
    return "\n".join(
        [
            "| kill | after s | trials ended | of those lost | work began after s |",
            "|---|---|---|---|---|",
            *(row.replace("nan", "killed before") for row in rows),
            "",
            f"{len(rows)} kills, {len(ended)} trials ended: {sum(kill.lost for kill in kills)} lost, "
            f"{doubled} doubled, work began after {max(resumes):.2f} s at most ({len(resumes)} starts)",
            f"the log's best: {best:.4f}; the search says: {said}",
        ]
    )


if __name__ == "__main__":
    main()
