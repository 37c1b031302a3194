"""Write a competition.yaml: a shipped one, or one of the first edition as the second edition writes it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from kagglekit.errors import ConfigError, plural
from kagglekit.terminal import console
from kagglekit.terminal.table import ResultTable

if TYPE_CHECKING:
    from kagglekit.competitions.start import Written

EXAMPLE = """example:
  $ kagglekit init --like freesound-2019
  wrote competition.yaml; no line is a guess
  next: kagglekit fetch"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--like", metavar="NAME", help="copy a shipped one; --list shows them")
    what.add_argument("--list", action="store_true", help="list the shipped ones")
    what.add_argument(
        "--schema", metavar="FILE", help="write the JSON schema of competition.yaml, for editors"
    )
    what.add_argument("--upgrade", metavar="FILE", help="rewrite a first-edition competition.yaml")
    parser.add_argument("--force", action="store_true", help="replace an existing competition.yaml")


def run(args: argparse.Namespace) -> None:
    if args.set:
        raise ConfigError(
            f"--set {args.set[0]}: init takes no settings", hint="edit competition.yaml when it is there"
        )
    path = None if args.config is None else Path(args.config)
    if args.list:
        _list()
    elif args.schema:
        from kagglekit.competitions.start import write_schema

        write_schema(Path(args.schema))
        line = f"# yaml-language-server: $schema={args.schema}"
        console.result(
            {"schema": args.schema},
            [f"wrote {args.schema}", f"for many editors, begin competition.yaml with: {line}"],
        )
    elif args.upgrade:
        from kagglekit.competitions.upgrade import upgrade_file

        kept = upgrade_file(Path(args.upgrade))
        console.result(
            {"config": args.upgrade, "old": kept}, [f"rewrote {args.upgrade}; the old file is {kept}"]
        )
    else:
        from kagglekit.competitions.start import like

        _show(like(args.like, path, force=args.force), args.config)


def _list() -> None:
    from kagglekit.competitions.start import shipped

    rows = shipped()
    columns = ("name", "metric", "labels", "shape", "delivery")
    table = ResultTable(
        "kagglekit init --like NAME", columns, [[row[column] for column in columns] for row in rows]
    )
    console.result({"competitions": rows}, [table])


def _show(written: Written, config: str | None) -> None:
    option = "" if config is None else f"-C {config} "
    checks = plural(len(written.checks), "line") if written.checks else "no line"
    are = "are guesses" if len(written.checks) > 1 else "is a guess"
    lines = [f"wrote {written.path}; {checks} {are}", *(f"  {line}" for line in written.checks)]
    console.result(
        {"config": written.path, "checks": written.checks}, [*lines, f"next: kagglekit {option}fetch"]
    )
