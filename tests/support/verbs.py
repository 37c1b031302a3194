"""A verb run as a person types it, and what it left behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

CLASSES = ["low", "mid", "silence", "unknown"]


class Done(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> dict[str, Any]:
        """The last JSON line of --json; only a search writes others before it."""
        answer: dict[str, Any] = json.loads(self.out.splitlines()[-1])
        return answer


Run = Callable[..., Done]


def entries(folder: Path) -> list[dict[str, Any]]:
    """Lines of the log."""
    return [json.loads(line) for line in (folder / "submissions/leaderboard.jsonl").read_text().splitlines()]


def hand_graded(csv: Path, usage: str) -> float:
    """Accuracy by the solution."""
    guess = dict(pl.read_csv(csv, infer_schema=False).rows())
    rows = pl.read_csv(csv.parents[1] / "host/solution.csv", infer_schema=False).rows()
    right = [guess[name] == label for name, label, use in rows if use == usage]
    return round(sum(right) / len(right), 5)


def by_hand(folder: Path) -> Path:
    """A submission that no kagglekit made: the solution with every fourth label wrong."""
    rows = pl.read_csv(folder / "host/solution.csv", infer_schema=False).rows()
    lines = [f"{name},{label if i % 4 else 'unknown'}\n" for i, (name, label, _) in enumerate(rows)]
    path = folder / "by hand.csv"
    path.write_text("fname,label\n" + "".join(lines))
    return path
