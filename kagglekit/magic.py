"""`%kagglekit VERB ...` in a notebook: a command in its kernel, which shows bars and tables in the cell."""

import shlex
from importlib import import_module
from typing import Any

from kagglekit import cli
from kagglekit.terminal import console


def register(shell: Any) -> None:
    """Add the magic to an IPython shell."""
    shell.register_magic_function(kagglekit, "line")


def kagglekit(line: str) -> None:
    """Run a command of kagglekit: `%kagglekit train --model tcresnet`. $name and {name} are your variables.

    Raises:
        UsageError: the command failed, so that the cells below are not run; IPython shows one line of it.
    """
    try:
        code: Any = cli.main(shlex.split(line))
    except SystemExit as stop:  # of argparse: help, or wrong usage
        code = stop.code
    finally:
        console.configure()  # --quiet and --json hold for this line alone
    if code:
        usage_error = import_module("IPython.core.error").UsageError
        raise usage_error(f"kagglekit stopped with exit code {code}")
