"""Compute a model's input for every clip into the cache. Training does it by itself where needed."""

import argparse

from kagglekit.commands import add_cluster, next_command, open_project
from kagglekit.terminal import console

EXAMPLE = """example:
  $ kagglekit features --model tcresnet
  log-mels of 10,336 clips: 40 x 101 numbers each
  next: kagglekit train --model tcresnet"""

NAMES = {"log_mel": "log-mels", "embedding": "embeddings"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    about = "compute this model's input: log-mels, or embeddings of a frozen network (tcresnet)"
    parser.add_argument("--model", default="tcresnet", metavar="NAME", help=about)
    add_cluster(parser, "compute shards")


def run(args: argparse.Namespace) -> None:
    project = open_project(args)
    kind, clips, shape, folder = project.features(args.model, cluster=args.cluster)
    console.result(
        {"clips": clips, "features": kind, "shape": list(shape), "folder": folder},
        [
            f"{NAMES[kind]} of {clips:,} clips: {' x '.join(map(str, shape))} numbers each",
            f"in {folder}",
            next_command(project, f"train --model {args.model}"),
        ],
    )
