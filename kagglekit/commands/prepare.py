"""Decode the audio of both archives, cut silence from noise, and make the folds. Done once."""

from __future__ import annotations

import argparse

EXAMPLE = """example:
  $ kagglekit prepare
  6,146 train, 615 silence and 3,575 test clips; 4 folds by speaker
  next: kagglekit train --model tcresnet"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--problems", action="store_true", help="list every clip with a problem")


def run(args: argparse.Namespace) -> None:
    import polars as pl

    from kagglekit.commands import next_command, open_workspace
    from kagglekit.data.prepare import prepare, summary
    from kagglekit.terminal import console

    config, workspace = open_workspace(args)
    prepared = prepare(workspace)
    counts = dict(prepared.clips.group_by("split").len().rows())
    shown = ", ".join(
        f"{counts[split]:,} {split}" for split in ("train", "silence", "test") if split in counts
    )
    left_out = prepared.clips.filter((pl.col("split") == "train") & (pl.col("fold") < 0))
    lines: list[object] = [f"{shown} clips; {config.validation.folds} folds by speaker"]
    for split, problems in prepared.problems.items():
        if problems:
            lines.append(f"{split}: " + ", ".join(f"{n:,} {name}" for name, n in problems.items()))
    if len(left_out):
        lines.append(f"{len(left_out):,} train clips are left out of training (data.leave_out)")
    if args.problems:
        odd = prepared.clips.filter(pl.col("problem") != "")
        lines += [f"{row[0]}  {row[1]}" for row in odd.select("clip_id", "problem").iter_rows()]
    lines += [f"in {workspace.clips_path}", next_command(args, "train --model tcresnet")]
    console.result({**summary(prepared), "left_out": len(left_out), "table": workspace.clips_path}, lines)
