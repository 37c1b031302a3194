"""Check credentials, rules, limits, disk and versions; each problem comes with its remedy."""

import argparse

from kagglekit.commands import open_project
from kagglekit.errors import KagglekitError
from kagglekit.terminal import console

EXAMPLE = """example:
  $ kagglekit doctor
  ok    credential   token in KAGGLE_API_TOKEN
  ok    host         answers: TensorFlow Speech Recognition Challenge
  bad   rules        not accepted
        -> accept them at https://www.kaggle.com/competitions/tensorflow-speech-recognition-challenge/rules
  ok    submissions  0 sent today, 5 allowed a day, 5 left
  $ kagglekit doctor --deep
  ok    bytes        1,204 files, 5,310.2 MB, 0 damaged"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument(
        "--deep",
        action="store_true",
        help="also check the bytes of every file of the workspace, and decode every recording that it keeps",
    )


def run(args: argparse.Namespace) -> None:
    checks = open_project(args).doctor(deep=args.deep)
    lines = []
    for check in checks:
        lines.append(f"{check.verdict:<4}  {check.name:<11}  {check.what}")
        lines += [f"      -> {check.remedy}"] if check.remedy else []
    bad = [check.name for check in checks if check.verdict == "bad"]
    console.result({"checks": [check._asdict() for check in checks], "ok": not bad}, lines)
    if bad:
        raise KagglekitError(f"not ready: {', '.join(bad)}", hint="each says after -> what to do")
