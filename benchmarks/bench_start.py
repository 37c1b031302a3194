"""How soon a command answers: `kagglekit --help` against `kaggle --help`, and `leaderboard` on a log of 500.

    python benchmarks/bench_start.py [--rounds N]

Whole processes. A round starts each ten times, and counts the mean.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from harness import HERE, ROOT, Figure, Row, arguments, ratios, report, take_turns, timed

from kagglekit.submission.ledger import Entry, Ledger

STARTS, ENTRIES = 10, 500
OURS = [sys.executable, "-m", "kagglekit"]
THEIRS = [
    sys.executable,
    "-c",
    "import sys; from kaggle.cli import main; sys.argv[0] = 'kaggle'; sys.exit(main())",
]
# No credential is needed to show help, but the client looks for one before it does.
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "KAGGLE_USERNAME": "nobody", "KAGGLE_KEY": "none"}


def start(command: list[str]) -> float:
    """Mean seconds from start to end."""

    def once() -> None:
        done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, check=True)
        assert done.stdout, command

    return sum(timed(once) for _ in range(STARTS)) / STARTS


def write_log(workspace: Path) -> list[str]:
    """A log of ENTRIES submissions; the command that shows it."""
    ledger = Ledger(workspace / "submissions" / "leaderboard.jsonl")
    ledger.path.parent.mkdir(parents=True)
    for k in range(ENTRIES):
        ledger.append(
            Entry(
                time=f"2026-11-{k % 28 + 1:02d}T{k % 24:02d}:00:00Z",
                csv=f"{k:06d}.csv",
                sha256=f"{k:064x}",
                models=["gru", "tcresnet"],
                runs=["0" * 12, "1" * 12],
                weights=[0.5, 0.5],
                cv_score=0.8 + k / 5000,
                config_key="0" * 12,
                host="local:speech-mini",
                status="COMPLETE",
                public=0.79 + k / 5000,
            )
        )
    text = (HERE / "speech_mini.yaml").read_text(encoding="utf-8")
    (workspace / "competition.yaml").write_text(text, encoding="utf-8")
    return [*OURS, "-C", str(workspace / "competition.yaml"), "leaderboard"]


def main() -> None:
    args = arguments(__doc__.splitlines()[0])
    with tempfile.TemporaryDirectory() as folder:
        board = write_log(Path(folder))
        shown = subprocess.run(board, capture_output=True, text=True, env=ENVIRONMENT, check=True).stdout
        assert shown.count(".csv") == ENTRIES, shown[:500]
        commands = {"ours": [*OURS, "--help"], "theirs": [*THEIRS, "--help"], "board": board}
        sides = {name: (lambda command=command: start(command)) for name, command in commands.items()}
        seconds = take_turns(sides, args.rounds)
    figures = [
        Figure(
            "`kagglekit --help`, of `kaggle --help`", ratios(seconds["ours"], seconds["theirs"]), most=0.6
        ),
        Figure("`kagglekit --help`", seconds["ours"], "s"),
        Figure("`kaggle --help`", seconds["theirs"], "s"),
        Figure(f"`kagglekit leaderboard`, {ENTRIES} entries", seconds["board"], "s", most=0.5),
    ]
    remarks = [f"mean of {STARTS} starts a round"]
    report(
        Row("start", "`kagglekit --help`; `leaderboard` on 500 entries", "bench_start.py", figures, remarks)
    )


if __name__ == "__main__":
    main()
