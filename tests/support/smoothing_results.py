"""Write docs/results/smoothing.md: what a smoothing gains on soundscapes of which no window has a label.

    python tests/support/smoothing_results.py FOLDER SEED ...

with tests/ on PYTHONPATH. Each seed draws the competition of support.students_results, trains a tcresnet by it and
submits its predictions four times. A killed call goes on.
"""

from __future__ import annotations

import math
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

from support.students_results import SENT, begin

PAGE = Path(__file__).parents[2] / "docs" / "results" / "smoothing.md"
RULES = ("none", "neighbours", "recording", "both")
INTRODUCTION = """\
`PYTHONPATH=tests python tests/support/smoothing_results.py FOLDER 1 2 3` writes this page. Each seed draws a competition of bird
calls at unseen sites (tests/support/replicas/unseen_sites.py: 8 species, 128 close recordings, 24 soundscapes of a minute in the test,
whose rows are windows of 5 s) and trains a tcresnet by it. As no window has a label, the rules have fixed values. Private
macro ROC AUC, of two thirds of the test's rows."""


def draw(folder: Path, seed: int) -> dict[str, float]:
    """Run the commands on the competition of one seed: rule -> private score."""
    steps, scores = begin(folder, seed), {}
    for rule in RULES:
        sent = steps(f"--set ensemble.smoothing={rule} submit --ensemble tcresnet --upload --yes")
        found = SENT.search(sent)
        assert found is not None, sent
        scores[rule] = float(found[2])
    return scores


def page(draws: dict[int, dict[str, float]]) -> Iterator[str]:
    """Yield the lines of the page."""
    yield from ("# Smoothing without labelled windows", "", *INTRODUCTION.splitlines(), "")
    yield f"| smoothing | {' | '.join(f'seed {seed}' for seed in draws)} | gain in points |"
    yield "|---" * (len(draws) + 2) + "|"
    for rule in RULES:
        gains = [100 * (scores[rule] - scores["none"]) for scores in draws.values()]
        gain = f"{statistics.mean(gains):+.2f} ± {statistics.stdev(gains) / math.sqrt(len(gains)):.2f}"
        cells = " | ".join(f"{scores[rule]:.4f}" for scores in draws.values())
        yield f"| {rule} | {cells} | {gain if rule != 'none' else ''} |"


def main(words: list[str]) -> None:
    """Draw the seeds named, and write the page."""
    folder, *seeds = words
    draws = {}
    for seed in map(int, seeds):
        place = Path(folder, str(seed)).resolve()
        place.mkdir(parents=True, exist_ok=True)
        draws[seed] = draw(place, seed)
    PAGE.write_text("\n".join(page(draws)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
