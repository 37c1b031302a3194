"""The log of submissions."""

from __future__ import annotations

from pathlib import Path

import polars as pl
from support.verbs import Run, by_hand, entries, hand_graded

from kagglekit.files.json_lines import line_of


def test_leaderboard_shows_what_was_sent_elsewhere(bare: Path, run: Run) -> None:
    run("fetch")
    run("submit", "--file", by_hand(bare).name, "--upload", "--yes")
    (bare / "submissions/leaderboard.jsonl").unlink()
    assert "1 entry changed, 1 of them made elsewhere" in run("leaderboard", "--sync").out
    data = run("--json", "leaderboard", "--sync").data
    (entry,) = data["entries"]
    assert (entry["foreign"], entry["ref"], entry["rank"], entry["teams"]) == (True, "1", 1, 1)
    assert data["best_by_public"] == {"csv": entry["csv"], "ref": "1"} and data["best_by_cv"] is None
    shown = run("leaderboard").out
    assert "(elsewhere)" in shown and f"{entry['public']:.4f}*" in shown and " 1/1 " in shown


def test_leaderboard_tells_the_medal_zones(bare: Path, run: Run) -> None:
    run("fetch")
    run("submit", "--file", by_hand(bare).name, "--upload", "--yes")
    log = bare / "submissions/leaderboard.jsonl"
    log.write_bytes(line_of(entries(bare)[-1] | {"rank": 60, "teams": 1315}))
    shown = run("leaderboard").out
    assert " 60/1315 silver " in shown
    assert "; medal zones: gold to 12, silver to 65, bronze to 131\n" in shown
    on_kaggle = run("leaderboard", "--set", "competition.host=kaggle").out
    assert "selected for the final score" not in on_kaggle  # nothing was sent there


def test_leaderboard(here: Path, run: Run) -> None:
    empty = run("leaderboard")
    assert empty.out == "no submission yet\nnext: kagglekit submit --ensemble tcresnet\n"
    run("submit", "--ensemble", "gru", "--upload", "--yes")
    (csv,) = here.glob("submissions/*.csv")
    (entry,) = run("--json", "leaderboard").data["entries"]
    assert (entry["csv"], entry["public"]) == (csv.name, hand_graded(csv, "Public"))
    shown = run("leaderboard").out
    gap = f"{100 * (entry['cv_score'] - entry['public']):+.1f}"
    assert all(word in shown for word in (csv.name, "COMPLETE", f"{entry['public']:.4f}", gap))


def test_leaderboard_csv(here: Path, run: Run) -> None:
    run("submit", "--ensemble", "gru")
    assert run("leaderboard", "--out", "log.csv").out.endswith("wrote log.csv\n")
    (row,) = pl.read_csv("log.csv", infer_schema=False).to_dicts()
    assert (row["models"], row["status"], row["public"]) == ("gru", "written", None)
