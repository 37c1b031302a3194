"""Random faults in every request of fetch, submit and leaderboard --sync, from a seed, until all is done.

    python tests/support/kaggle_storm.py [RUNS] [FIRST_SEED]

After every command, whatever it said: no file that counts as fetched differs from the server's, and the host
has at most one submission of the CSV. In the end all is there, and the log says what the host says.
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

from kagglekit.submission.ledger import Ledger
from support.kaggle_matrix import NOTEBOOK, VERBS, faults
from support.kaggle_server import EXPIRED, Drop, Flip, KaggleServer, Short, Stall
from support.kaggle_site import GUESSES, LATER, Done, Site, csv_of, files, server
from support.kaggle_wire import Trouble

TRIES = 40
"""Commands after which a run has failed; the faults are used up long before."""
METHODS = [request for name, verb in VERBS.items() if name != NOTEBOOK for request in verb.requests]
SELDOM = ("429, in an hour", "no reply comes", "stalls half-way")
"""Faults that a run meets seldom, because they end a command, or take a time-out each."""


@dataclass
class Tally:
    """What happened in a run."""

    commands: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    faults: int = 0
    files_checked: int = 0
    damaged: int = 0


def trouble(rng: random.Random, method: str) -> Trouble | None:
    """A fault, or, half of the time, none."""
    if rng.random() < 0.5:
        return None
    if method == "storage" and rng.random() < 0.7:
        at = int(rng.triangular(0, 120_000))
        return rng.choice([EXPIRED, Drop(at), Drop(at, reset=True), Stall(at), Flip(at), Short(at + 1)])
    name, fault = rng.choice(list(faults(method).items()))
    return None if name in SELDOM and rng.random() < 0.8 else fault


def stormy(rng: random.Random) -> KaggleServer:
    """A Kaggle with faults ahead."""
    kaggle = server()
    kaggle.url_uses = rng.choice([None, None, 1, 2])
    kaggle.takes_ranges = rng.random() < 0.85
    kaggle.page_size = rng.choice([1, 2, 100])
    for method in METHODS:
        kaggle.faults[method] = [trouble(rng, method) for _ in range(rng.randrange(8))]
    return kaggle


def run(seed: int, folder: Path) -> Tally:
    """One run in a new folder.

    Raises:
        AssertionError: a corrupt file was accepted, a CSV was sent twice, or it never ended.
    """
    rng, tally = random.Random(seed), Tally()
    with stormy(rng) as kaggle:
        planned = _troubles(kaggle)
        site = Site(folder, kaggle)
        _fetch(site, rng, tally)
        _submit(site, tally)
        _repeat(site, VERBS["leaderboard"].command, tally)
        entries = Ledger(folder / "submissions" / "leaderboard.jsonl").entries()
        assert [e.status for e in entries] == ["COMPLETE"], entries
        assert [e.ref for e in entries] == ["1"], entries
        tally.faults = planned - _troubles(kaggle)
    return tally


def _fetch(site: Site, rng: random.Random, tally: Tally) -> None:
    """Fetch all; now and then a file is damaged afterwards, and must be found and fetched again."""
    _repeat(site, VERBS["fetch"].command, tally)
    site.check_files(all_there=True)
    if rng.random() < 0.3:
        path = site.raw / rng.choice(list(files()))
        data = bytearray(path.read_bytes())
        data[rng.randrange(len(data))] ^= 0x40
        path.write_bytes(data)
        tally.damaged += 1
        _repeat(site, VERBS["fetch"].command, tally, damaged=True)
        site.check_files(all_there=True)
    tally.files_checked += len(files())


def _submit(site: Site, tally: Tally) -> None:
    """Submit until the log says that it was sent."""

    def sent(done: Done) -> bool:
        return done.code == 0 or "sent before" in done.message

    _repeat(site, VERBS["submit"].command, tally, sent)
    assert list(site.server.uploads.values())[-1] == csv_of(GUESSES), "the upload was damaged"
    VERBS["submit"].check(site)


def _repeat(site: Site, command: str, tally: Tally, ended: object = None, *, damaged: bool = False) -> None:
    """Run a command until it is done, and look after each time."""
    for i in range(TRIES):
        done = site.run(command, later=i * LATER)
        tally.commands[command.split()[0]] += 1
        if not damaged or done.code == 0:
            site.check_files()
        assert len(site.server.submissions) <= 1, "it was sent twice"
        if done.code == 0 or (callable(ended) and ended(done)):
            return
        tally.errors[command.split()[0]] += 1
    raise AssertionError(f"{command}: still an error after {TRIES} tries: {done.err}")


def _troubles(kaggle: KaggleServer) -> int:
    return sum(t is not None for planned in kaggle.faults.values() for t in planned)  # type: ignore[union-attr]


def main(runs: int = 200, first: int = 0) -> int:
    """Run the seeds and print what happened; how many failed."""
    total, failed, start = Tally(), [], time.monotonic()
    for seed in range(first, first + runs):
        with TemporaryDirectory() as folder:
            try:
                tally = run(seed, Path(folder, "site"))
            except AssertionError as error:
                failed.append(seed)
                print(f"seed {seed}: {error}", file=sys.stderr)
                continue
        total.commands += tally.commands
        total.errors += tally.errors
        total.faults += tally.faults
        total.files_checked += tally.files_checked
        total.damaged += tally.damaged
    seconds = time.monotonic() - start
    commands = ", ".join(f"{n} x {verb} ({total.errors[verb]} errors)" for verb, n in total.commands.items())
    print(f"{runs} runs with seeds {first} to {first + runs - 1} in {seconds:.0f} s, {os.cpu_count()} CPUs")
    print(f"{total.faults} faults met; {commands}")
    print(f"{total.files_checked} files fetched, {total.damaged} damaged afterwards")
    print(f"{len(failed)} runs failed, with a corrupt file, a second submission or no end: {failed}")
    return len(failed)


if __name__ == "__main__":
    sys.exit(1 if main(*map(int, sys.argv[1:3])) else 0)
