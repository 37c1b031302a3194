"""The command line: the verbs, how failures are shown, and exit codes. Imports nothing heavy.

Exit codes: 0 done · 1 a failure, explained · 2 wrong usage · 130 Ctrl-C · 143 SIGTERM · 129 SIGHUP.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import traceback
from collections.abc import Collection, Sequence
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING

from kagglekit import __version__
from kagglekit.errors import DamagedCacheError, KagglekitError
from kagglekit.files.faults import MachineError, explain
from kagglekit.terminal import console, signals

if TYPE_CHECKING:
    from kagglekit.project import Project

VERBS = {
    "init": "draft a competition.yaml, or copy a shipped one",
    "doctor": "check credentials, rules, limits, disk and versions",
    "fetch": "download the competition's files",
    "prepare": "decode the audio, make folds",
    "features": "compute log-mels or embeddings into the cache",
    "models": "list architectures and the weights they need",
    "train": "train models on every fold",
    "tune": "search hyperparameters of a model, then train the best",
    "reproduce": "train the shipped recipes and compare them",
    "cv": "explain the CV score, beside public scores",
    "predict": "predict the test clips, or wav files",
    "ensemble": "blend trained models",
    "pseudo": "train on pseudo-labelled test clips",
    "distill": "train one small model on an ensemble's probabilities",
    "export": "write a trained model as ONNX",
    "notebook": "build and rehearse a host's notebook, or train in one",
    "submit": "write, check and, with --upload, send a submission",
    "leaderboard": "show the log of submissions",
    "report": "write an HTML report with charts and sound",
    "run": "run all stages, within a time limit",
    "completion": "print a shell's completion script",
    "demo": "synthesise a small competition and run all stages",
}

WITHOUT_SETTINGS = ("init", "completion", "demo")
"""Verbs that make a competition, or need none."""


def make_parser(words: Collection[str] | None = None) -> argparse.ArgumentParser:
    """Build the parser. The verbs' modules are light: they import what they need when they run.

    Args:
        words: the command line; other verbs get no options, which makes help instant. None: all do.
    """
    top = argparse.ArgumentParser(
        prog="kagglekit",
        description="From a Kaggle audio competition's archives to a submission you can trust.",
        epilog="example:\n  kagglekit fetch\n  kagglekit tune --model gru\n  kagglekit submit --ensemble gru",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"kagglekit {__version__}")
    _add_common(top, top_level=True)
    top.set_defaults(config=None, json=False, quiet=False, traceback=False)
    verbs = top.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name, summary in VERBS.items():
        if words is not None and name not in words and "completion" not in words:
            verbs.add_parser(name, help=summary)
            continue
        module = import_module(f"kagglekit.commands.{name}")
        parser = verbs.add_parser(
            name,
            help=summary,
            description=module.__doc__,
            epilog=module.EXAMPLE,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(parser)
        _add_common(parser, top_level=False)
        parser.set_defaults(run=module.run, parser=top)
    return top


def _add_common(parser: argparse.ArgumentParser, *, top_level: bool) -> None:
    """Add options that may stand before or after the verb; without them after it, those before it hold."""
    group = parser.add_argument_group("for every verb", argument_default=argparse.SUPPRESS)
    group.add_argument("-C", "--config", metavar="FILE", help="the competition (competition.yaml)")
    # two names, because an appended list after the verb would replace the one before it
    group.add_argument(
        "--set",
        metavar="A.B=VALUE",
        action="append",
        default=[],
        dest="set_before" if top_level else "set_after",
        help="override a setting, e.g. train.epochs=10",
    )
    group.add_argument("--json", action="store_true", help="results as JSON")
    group.add_argument("--quiet", action="store_true", help="no bars, no notes")
    group.add_argument("--traceback", action="store_true", help="show where a failure came from")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code. Without `argv`, this process is the command's alone."""
    console.open_streams()
    if argv is None:
        signals.hear()
        with suppress(OSError):  # torch would make a folder there for what it compiles, which is nothing here
            os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", tempfile.gettempdir())
    words = sys.argv[1:] if argv is None else argv
    args = make_parser(words).parse_args(words)
    args.set = [*args.set_before, *args.set_after]
    console.configure(quiet=args.quiet, json_output=args.json)
    try:
        _run(args)
        sys.stdout.flush()
        return signals.done(0)
    except BaseException as error:  # a panic of polars is no Exception
        if number := signals.cause(error):
            return signals.stop(number)
        if isinstance(error, SystemExit):
            raise
        if isinstance(error, BrokenPipeError):  # `kagglekit leaderboard | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        elif args.traceback:
            print(console.without_secrets(traceback.format_exc()), end="", file=sys.stderr)
        else:
            project = getattr(args, "project", None)
            message, hint = _explain(error, project)
            _show(message, _with_options(hint, project))
        return signals.done(1)


def _run(args: argparse.Namespace) -> None:
    """Run the verb, and again for each damaged cache that it meets, which the next run makes again."""
    try:
        os.getcwd()
    except FileNotFoundError as error:  # libraries end the whole process for it
        raise KagglekitError("the current folder has been deleted", hint="go to another one: cd") from error
    met: set[str] = set()
    while True:
        try:
            args.run(args)
            return
        except DamagedCacheError as error:
            if str(error) in met:
                raise
            met.add(str(error))
            console.note(f"{error}: making it again")


def _explain(error: BaseException, project: Project | None) -> tuple[str, str | None]:
    """Return the message and the hint for an error."""
    if not isinstance(error, KagglekitError):
        error = explain(error) or error
    if isinstance(error, MachineError):
        return str(error), _elsewhere(error, project) or error.hint
    if isinstance(error, KagglekitError):
        return str(error), error.hint
    if isinstance(error, OSError):
        where = f": {error.filename}" if error.filename else ""
        return f"{error.strerror or error}{where}", "check the path and its permissions"
    if isinstance(error, MemoryError):
        return "out of memory", "close other programs, or set train.batch_size lower"
    kind = type(error).__name__
    return f"unexpected {kind}: {error}", "run again with --traceback and report what it shows"


def _elsewhere(fault: MachineError, project: Project | None) -> str:
    """Say which settings lead elsewhere where a folder of the project must not be written to."""
    with suppress(KagglekitError):
        if fault.refused is not None and project is not None:
            return project.workspace.elsewhere(fault.refused)
    return ""


def _with_options(hint: str | None, project: Project | None) -> str | None:
    """Give the commands of a hint the options of this call, so that they mean the same competition."""
    if hint is None or project is None or project.command() == "kagglekit":
        return hint
    verbs = "|".join(verb for verb in VERBS if verb not in WITHOUT_SETTINGS)
    return re.sub(rf"\bkagglekit (?=({verbs})\b)", lambda _: f"{project.command()} ", hint)


def _show(message: str, hint: str | None) -> None:
    shown = f"error: {message}" + f"\nhint:  {hint}" * bool(hint)
    with suppress(OSError):  # nobody can be told
        print(console.visible(shown), file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
