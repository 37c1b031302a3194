"""Do all of it: fetch, prepare, train several models, blend, submit. With a time limit, as much as fits."""

from __future__ import annotations

import argparse

from kagglekit.commands import duration, names

EXAMPLE = """example:
  $ kagglekit run --time-limit 30m
  tcresnet CV 0.8712, gru CV 0.8801, ensemble CV 0.8954
  next: kagglekit submit --ensemble tcresnet,gru --upload"""

MODELS = (
    "tcresnet",
    "gru",
    "lstm",
    "convs2s",
)  # the quickest first, so that a short limit still ends with one


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--models", type=names, default=list(MODELS), metavar="A,B", help=",".join(MODELS))
    parser.add_argument(
        "--time-limit", type=duration, default=None, metavar="30m", help="for everything together"
    )
    parser.add_argument(
        "--trials", type=int, default=0, metavar="N", help="search each model first (0: do not)"
    )
    parser.add_argument("--upload", action="store_true", help="send the submission")
    parser.add_argument("--yes", action="store_true", help="without asking")


def run(args: argparse.Namespace) -> None:
    from kagglekit.commands import open_workspace, show_score
    from kagglekit.commands import submit as submit_command
    from kagglekit.commands.train import describe_run
    from kagglekit.hosts import open_host
    from kagglekit.hosts.fetch import fetch
    from kagglekit.pipeline import Clock, train_models
    from kagglekit.terminal import console

    clock = Clock(args.time_limit)
    config, workspace = open_workspace(args)
    fetch(workspace, open_host(config, workspace.root), reread=False)
    runs = train_models(workspace, args.models, clock, trials=args.trials)
    lines: list[object] = []
    for trained in runs:
        lines += [describe_run(trained), *show_score(trained.score)]
    console.show(lines)
    args.ensemble = [trained.model for trained in runs]
    args.force, args.no_wait, args.message, args.keep_sent, args.file = False, False, None, True, None
    args.method, args.decision, args.best, args.dry_run = None, None, False, False
    submit_command.run(args)
