"""Write docs/results/students.md: students in rounds on bird calls at unseen sites, and a transcript.

    python tests/support/students_results.py FOLDER SEED ...   # draw competitions; a killed call goes on
    python tests/support/students_results.py FOLDER            # the page, of all draws in FOLDER

with tests/ on PYTHONPATH. A draw makes the competition of support.replicas.unseen_sites and trains by one seed, with
the commands of the page's transcript. What the pseudo-labels are truly worth is counted by answers that no
command sees.
"""

from __future__ import annotations

import csv
import json
import math
import re
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from support.competition_results import run
from support.replicas import unseen_sites

PAGE = Path(__file__).parents[2] / "docs" / "results" / "students.md"
SIZE = unseen_sites.Size(species=8, recordings=16, authors=30, unlabelled=30, tested=24)
SETTINGS = """\
validation: {{folds: 3}}
train: {{epochs: 20, batch_size: 16, lr: 0.004, seed: {seed}}}
features: {{hop_ms: 20}}
models: {{tcresnet: {{model: {{depth: 8}}}}}}
jobs: 1
"""
INTRODUCTION = """\
`PYTHONPATH=tests python tests/support/students_results.py FOLDER 1 2 3`, then without seeds, writes this page. Each seed draws a
competition (tests/support/replicas/unseen_sites.py: 8 species, 128 close recordings by 30 authors, 30 minutes of soundscapes
without labels, 24 of the test, of whose sites half are in no other recording) and trains by it: a tcresnet, and three rounds of
students of itself. The private score is of two thirds of the test's rows, which nothing has seen.

The audit gives the precision and recall of targets from 0.5 on, and the share of the targets' sum that is on true classes, on OOF:
close recordings, as all that have labels. What the pseudo-labels of the soundscapes are truly worth, by answers that no command
sees, is in the last column: the precision of targets from 0.5 on, and the share of the sum, beside that of chance.
"""
DISTILL = "distill --rounds 3 --teachers tcresnet --model tcresnet --no-test --keep-going"
SENT = re.compile(r"sent as \d+: public (\S+), private (\S+), CV (\S+)")
TAUGHT = re.compile(r"^tcresnet/([0-9a-f]{12}): ", re.MULTILINE)
AUDIT = re.compile(r"precision (\S+) and recall (\S+); (\S+) of all")
GAIN = re.compile(r"OOF (\S+), (.+? points) over")


class Steps:
    """The commands of one draw with what they printed; those that are done are not run again."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / "steps.json"
        self.done: dict[str, str] = json.loads(self.path.read_text("utf-8")) if self.path.is_file() else {}

    def __call__(self, command: str) -> str:
        if command not in self.done:
            code, shown = run(self.folder, *command.split())
            if code:
                raise SystemExit(f"kagglekit {command} ended with {code}")
            self.done[command] = shown
            self.path.write_text(json.dumps(self.done), encoding="utf-8")
        return self.done[command]


def begin(folder: Path, seed: int) -> Steps:
    """Make the competition of one seed, and train the teacher."""
    if not (folder / "made").is_file():
        unseen_sites.make(folder, SIZE, seed)
        (folder / "made").touch()
    steps = Steps(folder)
    steps("init --local host")
    yaml = folder / "competition.yaml"
    if "folds: 3" not in yaml.read_text("utf-8"):
        yaml.write_text(yaml.read_text("utf-8") + SETTINGS.format(seed=seed), encoding="utf-8")
    for command in ("fetch", "train --model tcresnet"):
        steps(command)
    return steps


def draw(folder: Path, seed: int) -> None:
    """Run the commands on the competition of one seed."""
    steps = begin(folder, seed)
    steps("submit --ensemble tcresnet --upload --yes")
    for identity in TAUGHT.findall(steps(DISTILL)):
        steps(f"submit --ensemble tcresnet/{identity} --upload --yes")
    steps("leaderboard")


def true_shares(folder: Path, identity: str) -> str:
    """Return the precision of targets from 0.5 on, and the share of the targets' sum that is on true classes."""
    with (folder / "unlabelled_truth.csv").open(encoding="utf-8") as file:
        truth = {row.pop("row_id"): np.array([*map(int, row.values())]) for row in csv.DictReader(file)}
    config = next(folder.glob(f".kagglekit/runs/*/{identity}/config.yaml")).read_text("utf-8")
    key = re.search(r"soft_targets: '?([0-9a-f]{12})", config)
    assert key is not None
    mass, shares, called, calls = [], [], 0, 0
    for path in folder.glob(f".kagglekit/soft_targets/{key[1]}/fold_*.parquet"):
        table = pl.read_parquet(path)
        rows = [re.sub(r".*/(.+)\.ogg#\d+-(\d+)", r"\1_\2", name) for name in table["clip_id"]]
        true, targets = np.stack([truth[row] for row in rows]) > 0, table["targets"].to_numpy()
        called, calls = called + int((true & (targets >= 0.5)).sum()), calls + int((targets >= 0.5).sum())
        mass.append(targets[true].sum() / targets.sum())
        shares.append(true.mean())
    sure = f"{called / calls:.2f} of {calls:,}" if calls else "none"
    return f"{sure}; {np.mean(mass):.3f} (chance {np.mean(shares):.3f})"


def rows_of(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the teacher and each round of one draw."""
    done = Steps(folder).done
    sent = [SENT.search(text) for command, text in done.items() if command.startswith("submit")]
    taught, audits = TAUGHT.findall(done[DISTILL]), AUDIT.findall(done[DISTILL])
    gains = GAIN.findall(done[DISTILL])
    for number, found in enumerate(sent):
        assert found is not None
        row: dict[str, Any] = {"round": number, "public": float(found[1]), "private": float(found[2])}
        row |= {"cv": float(found[3])}
        if number:
            row |= {"audit": audits[number - 1], "gain": gains[number - 1][1]}
            row |= {"true": true_shares(folder, taught[number - 1])}
        yield row


def page(folder: Path) -> Iterator[str]:
    """Yield the lines of the page."""
    draws = {int(path.parent.name): [*rows_of(path.parent)] for path in sorted(folder.glob("*/steps.json"))}
    yield from ("# Students in rounds", "", INTRODUCTION, "")
    yield from (
        "| seed | round | CV | OOF over its teachers | public | private | audit on OOF | truly, on the soundscapes |",
        "|---|---|---|---|---|---|---|---|",
    )
    for seed, rows in draws.items():
        for row in rows:
            yield _line(seed, row)
    yield ""
    for number in range(1, len(next(iter(draws.values())))):
        gains = [100 * (rows[number]["private"] - rows[0]["private"]) for rows in draws.values()]
        error = statistics.stdev(gains) / math.sqrt(len(gains)) if len(gains) > 1 else math.nan
        each = ", ".join(f"{gain:+.1f}" for gain in gains)
        yield (
            f"Round {number} against the teacher, private: {statistics.mean(gains):+.2f} ± {error:.2f} points "
            f"(mean and standard error over {len(gains)} seeds: {each}).  "
        )
    first = folder / str(min(draws))
    done = Steps(first).done
    yield from ("", f"## From init to a graded submission, seed {min(draws)}", "", "```")
    for command, text in done.items():
        yield f"$ kagglekit {command}"
        yield from text.splitlines()
        if command.startswith("init"):
            yield from ("$ cat competition.yaml   # with the lines from `validation` on added by hand",)
            yield from (first / "competition.yaml").read_text("utf-8").replace(f"{first}/", "").splitlines()
    yield "```"


def _line(seed: int, row: dict[str, Any]) -> str:
    scores = f"{row['public']:.4f} | {row['private']:.4f}"
    if not row["round"]:
        return f"| {seed} | teacher | {row['cv']:.4f} | | {scores} | | |"
    precision, recall, mass = map(float, row["audit"])
    audit = f"{precision:.2f}, recall {recall:.2f}; {mass:.3f}"
    cells = f"{row['cv']:.4f} | {row['gain']} | {scores} | {audit} | {row['true']}"
    return f"| {seed} | {row['round']} | {cells} |"


def main(words: list[str]) -> None:
    """Draw the seeds named, or write the page."""
    folder, *seeds = words
    for seed in seeds:
        place = Path(folder, seed).resolve()
        place.mkdir(parents=True, exist_ok=True)
        draw(place, int(seed))
    if not seeds:
        PAGE.write_text("\n".join(page(Path(folder).resolve())) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
