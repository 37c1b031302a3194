"""Download the competition's files into the workspace, each tested. Sound ones that are there stay."""

from __future__ import annotations

import argparse

EXAMPLE = """example:
  $ kagglekit fetch
  fetched train.7z (113.5 MB), test.7z (63.0 MB), sample_submission.7z (15.1 kB)
  next: kagglekit tune --model convs2s"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="*", metavar="FILE", help="only these (those competition.yaml names)")
    parser.add_argument("--force", action="store_true", help="fetch again what is there")
    parser.add_argument("--list", action="store_true", help="show the host's files and fetch none")
    parser.add_argument(
        "--checkpoints", action="store_true", help="the pretrained models named in competition.yaml as well"
    )


def run(args: argparse.Namespace) -> None:
    from kagglekit.commands import next_command, open_workspace
    from kagglekit.hosts import open_host
    from kagglekit.hosts.fetch import fetch
    from kagglekit.terminal import console

    config, workspace = open_workspace(args)
    host = open_host(config, workspace.root)
    if args.list:
        files = host.files()
        lines: list[object] = [f"{f.name}  {_size(f.size)}" for f in files]
        console.result({"files": [{"name": f.name, "size": f.size} for f in files]}, lines)
        return
    fetched = fetch(workspace, host, args.files, force=args.force)
    new = ", ".join(f"{f.name} ({_size(f.size)})" for f in fetched if f.new)
    old = ", ".join(f.name for f in fetched if not f.new)
    checkpoints = _checkpoints(config) if args.checkpoints else {}
    lines = [f"fetched {new}"] if new else []
    lines += [f"there already: {old}"] if old else []
    lines += [f"checkpoint of {model}: {path}" for model, path in checkpoints.items()]
    lines += [f"in {workspace.raw}", next_command(args, "tune --model convs2s")]
    files_made = [{"name": f.name, "size": f.size, "new": f.new} for f in fetched]
    console.result({"files": files_made, "folder": workspace.raw, "checkpoints": checkpoints}, lines)


def _size(size: int | None) -> str:
    if size is None:
        return "size unknown"
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000  # type: ignore[assignment]
    return f"{size:.1f} GB"


def _checkpoints(config: object) -> dict[str, str]:
    """The pretrained weights of every model in `models:`, downloaded where they are not a folder already."""
    from pathlib import Path

    from kagglekit.config import Config
    from kagglekit.models import MODELS
    from kagglekit.models.hub import download

    assert isinstance(config, Config)
    paths = {}
    for name, section in config.models.items():
        if MODELS[name].checkpoint is not None:
            named = str(section.checkpoint or section.model.get("checkpoint") or MODELS[name].checkpoint)
            paths[name] = named if Path(named).is_dir() else str(download(named))
    return paths
