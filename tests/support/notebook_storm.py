"""Random faults in every request of a notebook's submission, from a seed, until it is submitted and scored.

    python tests/support/notebook_storm.py [RUNS] [FIRST_SEED]

After every command, whatever it said: the host has at most one submission. In the end it has one, of a version
that sees its data, and the log says what the host says.
"""

from __future__ import annotations

import os
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from support.kaggle_matrix import NOTEBOOK, VERBS
from support.kaggle_server import KaggleServer
from support.kaggle_site import LATER
from support.kaggle_storm import trouble
from support.notebook_site import NotebookSite, server

TRIES = 40


@dataclass
class NotebookTally:
    """What happened in some runs."""

    commands: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    faults: int = 0
    pushes: int = 0
    versions: int = 0
    """Of data sets."""


def stormy(rng: random.Random) -> KaggleServer:
    """A Kaggle with faults ahead."""
    kaggle = server()
    for method in VERBS[NOTEBOOK].requests:
        kaggle.faults[method] = [trouble(rng, method) for _ in range(rng.randrange(6))]
    kaggle.page_size = rng.choice([1, 2, 100])
    kaggle.missing_is = rng.choice([403, 404])
    kaggle.url_uses = rng.choice([None, None, 1, 2])
    kaggle.dataset_looks = rng.choice([0, 1, 5])
    kaggle.dataset_fails = rng.choice([0, 0, 0, 1])
    kaggle.queue_looks, kaggle.run_looks = rng.randrange(4), rng.randrange(4)
    kaggle.output_looks = rng.choice([0, 0, 1])
    kaggle.polls_pending = rng.randrange(3)
    return kaggle


def run(seed: int, folder: Path, tally: NotebookTally) -> None:
    """One run in a new folder.

    Raises:
        AssertionError: it was submitted twice, or it never ended.
    """
    rng = random.Random(seed)
    with stormy(rng) as kaggle:
        planned = _troubles(kaggle)
        site = NotebookSite(folder, kaggle)
        for i in range(TRIES):
            # a run that has come to a bad end, or an output that was lost, needs another push
            done = site.submit(rng.choice(["", "--force"]) if not kaggle.submissions else "", later=i * LATER)
            tally.commands += 1
            site.check_at_most_one()
            if done.code == 0 or "submitted before" in done.message:
                break
            tally.errors[done.message.partition(":")[0]] += 1
        else:
            raise AssertionError(f"still an error after {TRIES} tries: {done.err}")
        site.run("leaderboard --sync")  # the score, where the wait for it was cut off
        for _ in range(TRIES):
            if site.run("leaderboard --sync", later=TRIES * LATER).code == 0:
                break
        site.check_submitted()
        tally.faults += planned - _troubles(kaggle)
        tally.pushes += sum(map(len, kaggle.kernels.values()))
        tally.versions += sum(len(stored.versions) for stored in kaggle.own_datasets.values())


def _troubles(kaggle: KaggleServer) -> int:
    return sum(t is not None for planned in kaggle.faults.values() for t in planned)  # type: ignore[union-attr]


def main(runs: int = 100, first: int = 0) -> int:
    """Run the seeds and print what happened; how many failed."""
    tally, failed, start = NotebookTally(), [], time.monotonic()
    for seed in range(first, first + runs):
        with TemporaryDirectory() as folder:
            try:
                run(seed, Path(folder, "site"), tally)
            except AssertionError as error:
                failed.append(seed)
                print(f"seed {seed}: {error}", file=sys.stderr)
    seconds = time.monotonic() - start
    print(f"{runs} storms with seeds {first} to {first + runs - 1} in {seconds:.0f} s, {os.cpu_count()} CPUs")
    print(f"{tally.faults} faults met; {tally.commands} commands, {sum(tally.errors.values())} errors")
    print(f"{tally.pushes} versions of notebooks and {tally.versions} of data sets for {runs} submissions")
    print(f"{len(failed)} failed, with a second submission, none, or no end: {failed}")
    return len(failed)


if __name__ == "__main__":
    sys.exit(1 if main(*map(int, sys.argv[1:3])) else 0)
