"""Compute the log-mels of every clip into the cache. Training does it by itself where needed."""

from __future__ import annotations

import argparse

EXAMPLE = """example:
  $ kagglekit features --set features.n_mels=64
  log-mels of 10,336 clips, 64 bands x 101 frames
  next: kagglekit train --model tcresnet"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model", default=None, help="with the features that competition.yaml gives this model"
    )


def run(args: argparse.Namespace) -> None:
    from kagglekit import console, models
    from kagglekit.commands import next_command, open_workspace
    from kagglekit.config import ModelSection, overlay
    from kagglekit.data.prepare import prepare
    from kagglekit.features.cache import log_mel_cache

    config, workspace = open_workspace(args)
    if args.model is not None:
        models.info(args.model)  # a wrong name fails before work begins
    section = config.models.get(args.model, ModelSection())
    spec = overlay(config.features, section.features)
    prepared = prepare(config, workspace)
    arrays = {
        split: log_mel_cache(
            workspace.features, prepared.store(split), prepared.keys[split], spec, config.audio, split
        )
        for split in prepared.folders
    }
    clips = sum(len(array) for array in arrays.values())
    _, bands, frames = next(iter(arrays.values())).shape
    console.result(
        {"clips": clips, "n_mels": bands, "frames": frames, "folder": workspace.features},
        [
            f"log-mels of {clips:,} clips, {bands} bands x {frames} frames",
            f"in {workspace.features}",
            next_command(args, f"train --model {args.model or 'tcresnet'}"),
        ],
    )
