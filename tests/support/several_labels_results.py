"""Write docs/results/several-labels.md: decisions, pseudo-labels and a student where clips have several labels.

Run `python tests/support/several_labels_results.py` with tests/ on PYTHONPATH. The competition is made up: four
sounds in noise, the rarest in 4 % of the clips, judged by f1_macro; 500 clips to train on, 1,000 of the test; one
draw. Where no decision is named, nested CV chooses it.
"""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kagglekit.cli import main
from kagglekit.config.names import SET_DECISIONS
from support import scenes

PAGE = Path(__file__).parents[2] / "docs" / "results" / "several-labels.md"
MODELS = "tcresnet,gru"
SHARES = (0.04, 0.08, 0.15, 0.3)
SETTINGS = ("competition.metric=f1_macro", "validation.folds=4", "train.epochs=8", "jobs=1")


def told(folder: Path, *argv: str) -> dict[str, Any]:
    """Return what a command says as JSON."""
    out, settings = io.StringIO(), [word for one in SETTINGS for word in ("--set", one)]
    with contextlib.redirect_stdout(out):
        code = main(["-C", str(folder / "competition.yaml"), *settings, "--quiet", "--json", *argv])
    if code:
        raise SystemExit(f"{' '.join(argv)} ended with {code}")
    data: dict[str, Any] = json.loads(out.getvalue().splitlines()[-1])
    return data


def lines(seed: int) -> Iterator[str]:
    """Yield a table row for each way to submit, of one drawn competition."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scenes.make(folder, clips=500, test_clips=1000, seed=seed, shares=SHARES, noise=1500)
        told(folder, "fetch")
        told(folder, "train", "--model", MODELS)
        chosen = told(folder, "ensemble", "--model", MODELS)["decision"]
        for decision in SET_DECISIONS:
            sent = told(folder, "submit", "--ensemble", MODELS, "--decision", decision, "--upload", "--yes")
            mark = ", which nested CV chooses" * (decision == chosen)
            yield _row(seed, f"{MODELS}, decision {decision}{mark}", sent)
        alone = told(folder, "submit", "--ensemble", "tcresnet", "--upload", "--yes")
        yield _row(seed, "tcresnet alone", alone)
        student = told(folder, "distill", "--teachers", MODELS, "--model", "tcresnet")
        run = f"tcresnet/{student['run']}"
        yield _row(
            seed,
            "tcresnet as a student (distill)",
            told(folder, "submit", "--ensemble", run, "--upload", "--yes"),
        )
        options = ("--teachers", MODELS, "--model", "tcresnet", "--precision", "0.8")
        pseudo = told(folder, "pseudo", *options)
        audit = pseudo["audit"]
        run = f"tcresnet/{pseudo['runs'][0]}"
        what = f"tcresnet with pseudo-labels (precision {audit['precision']:.3f}, coverage {audit['coverage']:.2f})"
        yield _row(seed, what, told(folder, "submit", "--ensemble", run, "--upload", "--yes"))


def _row(seed: int, what: str, sent: dict[str, Any]) -> str:
    return f"| {seed} | {what} | {sent['cv']:.4f} | {sent['public']:.4f} | {sent['private']:.4f} |"


def write() -> None:
    """Write the page."""
    head = ["| seed | submission | CV | public | private |", "|---|---|---|---|---|"]
    rows = [line for seed in range(1) for line in lines(seed)]
    text = ["# Several labels a clip", "", *(__doc__ or "").splitlines()[2:5], "", *head, *rows]
    PAGE.write_text("\n".join(text) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write()
