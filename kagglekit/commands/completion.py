"""Print a completion script for a shell: verbs, options, and the names of models and recipes."""

import argparse

from kagglekit.terminal import console
from kagglekit.terminal.completion import SHELLS, script

EXAMPLE = """example for bash, for your .bashrc:
  $ source <(kagglekit completion bash)
for zsh, after compinit in your .zshrc:
  $ eval "$(kagglekit completion zsh)"
for fish:
  $ kagglekit completion fish | tee ~/.config/fish/completions/kagglekit.fish"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=SHELLS, help="the shell")


def run(args: argparse.Namespace) -> None:
    from kagglekit import recipes
    from kagglekit.models import MODELS

    text = script(args.parser, args.shell, list(MODELS), recipes.names())
    console.result({"shell": args.shell, "script": text}, [text.rstrip("\n")])
