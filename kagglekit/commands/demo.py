"""Make a small spoken competition with eSpeak NG, offline, and take it from fetch to a graded submission."""

import argparse
from pathlib import Path

from kagglekit.commands import file_name
from kagglekit.commands import run as run_command
from kagglekit.terminal import console

EXAMPLE = """example:
  $ kagglekit demo
  sent as 1: public 0.90667, private 0.88571, CV 0.8960
  next: kagglekit -C demo/competition.yaml leaderboard"""

MODELS = ["tcresnet", "gru"]
SECONDS = 190.0  # of the run; installation and synthesis before it, `make demo` takes less than five minutes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", metavar="FOLDER", type=file_name, default="demo", help="where to make it (demo)"
    )


def run(args: argparse.Namespace) -> None:
    from kagglekit.demo.competition import demo_yaml, make_competition
    from kagglekit.files.atomic import building, write_text

    folder = Path(args.out)
    with building(folder / "host", "demo-1") as host:
        if host is not None:
            console.note("speaking ten words, fourteen fillers, noise, and words that are only in the test")
            make_competition(host)
    config = folder / "competition.yaml"
    if not config.is_file():
        write_text(config, demo_yaml("host"))
    args.config = str(config)
    args.model, args.trials, args.time_limit = MODELS, 2, SECONDS
    args.upload, args.yes = True, True
    run_command.run(args)
