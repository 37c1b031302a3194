"""Print a script by which a shell completes verbs, options and the names of models."""

from __future__ import annotations

import argparse

EXAMPLE = """example, for fish `kagglekit completion fish`, for zsh `kagglekit completion zsh`:
  $ kagglekit completion bash | tee completion.bash
  $ source completion.bash"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=["bash", "zsh", "fish"], help="which shell's")


def run(args: argparse.Namespace) -> None:
    from kagglekit import recipes
    from kagglekit.models import MODELS
    from kagglekit.terminal import console
    from kagglekit.terminal.completion import SHELLS, verbs

    script = SHELLS[args.shell](verbs(args.parser, list(MODELS), recipes.names()))
    console.result({"shell": args.shell, "script": script}, [script.rstrip("\n")])
