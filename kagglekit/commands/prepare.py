"""Decode the audio of both archives, cut silence from noise, and make the folds. Done once."""

import argparse

from kagglekit.commands import next_command, open_project
from kagglekit.terminal import console

EXAMPLE = """example:
  $ kagglekit prepare
  6,146 train, 615 silence and 3,575 test clips; 4 folds by speaker
  next: kagglekit train --model tcresnet"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--list", action="store_true", help="list every clip with a problem")


def run(args: argparse.Namespace) -> None:
    import polars as pl

    from kagglekit.data.prepare import summary

    project = open_project(args)
    prepared, path = project.prepare(), project.workspace.clips_path
    counts = dict(prepared.clips.group_by("split").len().rows())
    shown = ", ".join(
        f"{counts[split]:,} {split}" for split in ("train", "silence", "test") if split in counts
    )
    left_out = len(prepared.clips.filter((pl.col("split") == "train") & (pl.col("fold") < 0)))
    lines: list[object] = [f"{shown} clips; {project.config.validation.folds} folds by speaker"]
    for split, problems in prepared.problems.items():
        if problems:
            lines.append(f"{split}: " + ", ".join(f"{n:,} {name}" for name, n in problems.items()))
    if left_out:
        are = "clip is" if left_out == 1 else "clips are"
        lines.append(f"{left_out:,} train {are} left out of training (data.leave_out)")
    if args.list:
        odd = prepared.clips.filter(pl.col("problem") != "")
        lines += [f"{row[0]}  {row[1]}" for row in odd.select("clip_id", "problem").iter_rows()]
    lines += [f"in {path}", next_command(project, "train --model tcresnet")]
    console.result({**summary(prepared), "left_out": left_out, "table": path}, lines)
