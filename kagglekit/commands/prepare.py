"""Decode the recordings of train and test, cut silence from noise, and make the folds. Done once."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from kagglekit.commands import next_command, open_project
from kagglekit.terminal import console

if TYPE_CHECKING:
    from kagglekit.data.prepare import Prepared

EXAMPLE = """example:
  $ kagglekit prepare
  6,146 train, 615 silence, 3,575 test clips; 4 folds by group
  train: 127 clipped, 576 short
  test: 47 clipped, 228 short
  0 audio files match no pattern of competition.yaml
  Recordings: lengths in seconds; sample rates in Hz with their number of files
           files   min    5%     median   95%    max    sample rates
   train    6146   0.43   0.88   1.00     1.00   1.00   16,000: 6,146
   test     3575   0.43   0.94   1.00     1.00   1.00   16,000: 3,575
  next: kagglekit train --model tcresnet"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--list", action="store_true", help="list every clip with a flag")


def _folds(prepared: Prepared) -> str:
    """Return the number of folds, and what made them."""
    folds = f"{prepared.config.validation.folds} folds"
    if prepared.workspace.clips_facts().get("given"):
        return f"{folds}, as given"
    grouped = prepared.clips.filter(split="train")["speaker"].count() > 0
    return f"{folds} by group" if grouped else folds


def run(args: argparse.Namespace) -> None:
    from dataclasses import asdict

    import polars as pl

    from kagglekit.data.clips import LEFT_OUT, TRAINED_ONLY
    from kagglekit.data.lengths import QUANTILES, lengths_and_rates, rows
    from kagglekit.data.prepare import SPLITS, summary
    from kagglekit.files.passed_over import passed_over
    from kagglekit.terminal.table import ResultTable

    project = open_project(args)
    prepared, path = project.prepare(), project.workspace.clips_path
    counts = dict(prepared.clips.group_by("split").len().rows())
    shown = ", ".join(f"{counts[split]:,} {split}" for split in SPLITS if split in counts)
    fold = prepared.clips.filter(pl.col("split") == "train")["fold"]
    left_out, trained_only = int((fold == LEFT_OUT).sum()), int((fold == TRAINED_ONLY).sum())
    train = prepared.clips.filter(pl.col("split") == "train")
    no_class = len(train.filter((pl.col("fold") == LEFT_OUT) & pl.col("label").is_null()))
    lines: list[object] = [f"{shown} clips; {_folds(prepared)}"]
    for split, problems in prepared.problems.items():
        if problems:
            lines.append(f"{split}: " + ", ".join(f"{n:,} {name}" for name, n in problems.items()))
    left = passed_over(project.workspace)
    lines += left.describe()
    described = lengths_and_rates(prepared.clips, project.config.audio.sample_rate)
    if described:
        columns = ("", "files", *QUANTILES, "sample rates")
        title = "Recordings: lengths in seconds; sample rates in Hz with their number of files"
        lines.append(ResultTable(title, columns, rows(described)))
    if left_out:
        are = "clip is" if left_out == 1 else "clips are"
        why = f": {no_class:,} of no class" if no_class == left_out else " (data.leave_out)"
        if 0 < no_class < left_out:
            why = f": {no_class:,} of no class, {left_out - no_class:,} by data.leave_out"
        lines.append(f"{left_out:,} train {are} left out of training{why}")
    if trained_only:
        lines.append(f"{trained_only:,} train clips are trained on in every fold, and never validated on")
    if args.list:
        odd = prepared.clips.filter(pl.col("flags") != "").select("clip_id", "flags", "message")
        lines += ["  ".join(filter(None, row)) for row in odd.iter_rows()]
    lines += [f"in {path}", next_command(project, "train --model tcresnet")]
    console.result(
        {
            **summary(prepared),
            **{"left_out": left_out, "trained_only": trained_only, "table": path},
            "passed_over": asdict(left),
        },
        lines,
    )
