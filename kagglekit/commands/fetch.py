"""Download the competition's files into the workspace, and test each. Sound files that are there stay."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kagglekit.commands import file_name, next_command, open_project
from kagglekit.errors import listed, plural
from kagglekit.terminal import console

if TYPE_CHECKING:
    from kagglekit.hosts.base import HostFile

MANY = 50
"""Files above which --list begins with a summary, and others are cut."""

EXAMPLE = """example:
  $ kagglekit fetch
  fetched train.7z (113.5 MB), test.7z (63.0 MB), sample_submission.7z (15.1 kB)
  next: kagglekit prepare"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files",
        nargs="*",
        metavar="FILE",
        type=file_name,
        help="only these; by default all that competition.yaml names",
    )
    parser.add_argument("--force", action="store_true", help="download again what is there")
    parser.add_argument("--list", action="store_true", help="list the host's files and download none")
    parser.add_argument(
        "--checkpoints", action="store_true", help="the pretrained models named in competition.yaml as well"
    )


def run(args: argparse.Namespace) -> None:
    project = open_project(args)
    if args.list:
        files = project.files()
        lines: list[object] = [f"{f.name}  {_size(f.size)}" for f in files]
        if len(files) > MANY:
            lines = [*_summary(files), *lines]
        return console.result({"files": [{"name": f.name, "size": f.size} for f in files]}, lines)
    fetched = project.fetch(*args.files, force=args.force)
    new = listed([f"{f.name} ({_size(f.size)})" for f in fetched if f.new], MANY)
    old = listed([f.name for f in fetched if not f.new], MANY)
    checkpoints = project.fetch_checkpoints() if args.checkpoints else {}
    lines = [f"fetched {new}"] if new else []
    lines += [f"there already: {old}"] if old else []
    lines += [f"checkpoint of {model}: {path}" for model, path in checkpoints.items()]
    folder = project.workspace.raw
    if not fetched:
        lines += ["nothing to download: every file is read where it lies"]
    lines += [f"in {folder}", next_command(project, "prepare")]
    rows = [{"name": f.name, "size": f.size, "new": f.new} for f in fetched]
    console.result({"files": rows, "folder": folder, "checkpoints": checkpoints}, lines)


def _summary(files: Sequence[HostFile]) -> list[str]:
    """Say how many files of how many bytes each folder holds."""
    count, total = Counter[str](), Counter[str]()
    for file in files:
        folder = file.name.partition("/")[0] + "/" if "/" in file.name else ""
        count[folder] += 1
        total[folder] += file.size or 0
    rows = [
        f"{folder or 'not in a folder'}: {plural(count[folder], 'file')}, {_size(total[folder])}"
        for folder in sorted(count)
    ]
    return [f"{plural(len(files), 'file')}, {_size(sum(total.values()))}", *rows[:MANY], ""]


def _size(size: float | None) -> str:
    """Format a size: `540 B`, `113.5 MB`."""
    if size is None:
        return "size unknown"
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
