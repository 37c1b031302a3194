"""Compute what a network hears of every clip into the cache. Training does it by itself where needed."""

from __future__ import annotations

import argparse

EXAMPLE = """example:
  $ kagglekit features --model tcresnet
  log-mels of 10,336 clips: 40 x 101 numbers each
  next: kagglekit train --model tcresnet"""

MODEL = "tcresnet"
NAMES = {"log_mel": "log-mels", "embedding": "embeddings"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model",
        default=MODEL,
        help=f"what this model hears: log-mels, or embeddings where it is frozen ({MODEL})",
    )
    parser.add_argument(
        "--cluster", default=None, metavar="ADDRESS", help="in shards on Ray: auto, ray://..., local"
    )


def run(args: argparse.Namespace) -> None:
    from kagglekit import models
    from kagglekit.commands import next_command, open_workspace
    from kagglekit.data.prepare import prepare
    from kagglekit.data.shards import shards
    from kagglekit.errors import ConfigError
    from kagglekit.terminal import console
    from kagglekit.training.inputs import inputs_of
    from kagglekit.training.plan import resolve

    config, workspace = open_workspace(args)
    plan = resolve(config, args.model)
    kind = models.input_kind(plan.model, plan.params)
    if kind not in NAMES:
        raise ConfigError(
            f"{args.model} hears waveforms as they are: there are no features to compute",
            hint=f"kagglekit train --model {args.model}; tune: frozen would make embeddings of them",
        )
    prepared = prepare(workspace)
    with shards(prepared, args.cluster) as shared:
        arrays = [inputs_of(prepared, plan, split, shared) for split in prepared.folders]
    clips, shape = sum(len(array) for array in arrays), arrays[0][:1].shape[1:]
    console.result(
        {"clips": clips, "features": kind, "shape": list(shape), "folder": workspace.features},
        [
            f"{NAMES[kind]} of {clips:,} clips: {' x '.join(map(str, shape))} numbers each",
            f"in {workspace.features}",
            next_command(args, f"train --model {args.model}"),
        ],
    )
