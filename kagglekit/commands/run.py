"""Run all stages, fetch to submit, with several models; a time limit decides how many epochs they get."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from kagglekit.commands import add_count, add_names, add_time_limit, add_upload, open_project, show_run
from kagglekit.commands.submit import Prompt, show_result
from kagglekit.terminal import console

if TYPE_CHECKING:
    from kagglekit.runs.store import Run

EXAMPLE = """example:
  $ kagglekit run --time-limit 30m
  tcresnet CV 0.8712, gru CV 0.8801, ensemble CV 0.8954
  next: kagglekit submit --ensemble tcresnet,gru --upload"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_names(parser, "--model", "the most important first (tcresnet,gru,lstm,convs2s)")
    add_time_limit(parser, "for everything together")
    add_count(parser, "--trials", "search each model first (0: do not)", default=0)
    add_upload(parser)


def run(args: argparse.Namespace) -> None:
    def trained(runs: list[Run]) -> None:
        console.show([line for run in runs for line in show_run(run)])

    project = open_project(args)
    prompt = Prompt(project, args.yes)
    runs, submission = project.run(
        args.model,
        time_limit=args.time_limit,
        trials=args.trials,
        trained=trained,
        upload=args.upload,
        preview=prompt.preview,
        confirm=prompt.ask,
    )
    show_result(project, submission, [run.model for run in runs], uploaded=args.upload)
