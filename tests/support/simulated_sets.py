"""Choose how tightly thresholds of classes are held, on simulated rows that may have several classes.

Run `python tests/support/simulated_sets.py` with tests/ on PYTHONPATH; docs/LOG.md has the table.
"""

from __future__ import annotations

import itertools

import numpy as np

from kagglekit.ensemble import set_decisions
from kagglekit.scoring.metrics import make_metric
from kagglekit.scoring.numerics import sigmoid
from kagglekit.scoring.oof import Oof
from kagglekit.scoring.task import Task

CLASSES = tuple(f"c{number}" for number in range(20))


def drawn(rng: np.random.Generator, rows: int, prior: np.ndarray, off: np.ndarray) -> Oof:
    """Rows whose log-odds are right up to noise and a shift of each class."""
    truth = rng.uniform(size=(rows, len(prior))) < prior
    log = np.log(prior / (1 - prior)) + off + 2.5 * (truth - 0.3) + 1.2 * rng.normal(size=truth.shape)
    place = np.arange(rows)
    return Oof(sigmoid(log)[None], truth, np.ones(rows), place % 4, place % 20, np.empty((rows, 0)))


def gain(metric: str, rows: int, off: float, seed: int) -> float:
    """F1 of `thresholds` over `threshold` on rows that neither was fitted on, in points."""
    rng = np.random.default_rng(seed)
    prior = np.sort(np.exp(rng.uniform(np.log(0.01), np.log(0.3), len(CLASSES))))
    shift = rng.normal(size=len(CLASSES)) * off
    fitted, other = (drawn(rng, count, prior, shift) for count in (rows, 5000))
    task = Task(CLASSES, CLASSES, None, make_metric(metric, "multi"), "|")
    each, shared = (
        task.metric(
            other.target, set_decisions.fit(name, fitted, task)(other.probs[0], other.ood, other.share)
        )
        for name in ("thresholds", "threshold")
    )
    return 100 * (each - shared)


def main() -> None:
    """Print a line for each pair of settings: the mean gain, and the least of the cases."""
    cases = list(itertools.product(("f1_macro", "f1_rows"), (200, 800), (0.0, 0.7)))
    for trust, blur in itertools.product((0.1, 10.0, 20.0, 40.0), (1.0, 3.0, 6.0)):
        set_decisions.TRUST, set_decisions.BLUR = trust, blur
        gains = [np.mean([gain(*case, seed) for seed in range(6)]) for case in cases]
        print(f"| {trust:g} | {blur:g} | {np.mean(gains):.2f} | {min(gains):.2f} |", flush=True)


if __name__ == "__main__":
    main()
