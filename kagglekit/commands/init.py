"""Write a competition.yaml: a draft from what the host shows, whose guesses say why, or a shipped one."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from kagglekit.commands import file_name
from kagglekit.errors import ConfigError, plural
from kagglekit.terminal import console
from kagglekit.terminal.table import ResultTable

if TYPE_CHECKING:
    from kagglekit.competitions.start import Written

EXAMPLE = """example:
  $ kagglekit init birdclef-2026
  wrote competition.yaml; 7 lines are guesses
    competition.yaml:10 metric: roc_auc_macro  # check: the host calls it 'BirdCLEF ROC-AUC'; which average?
    ...
  next: kagglekit fetch"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "slug",
        nargs="?",
        metavar="SLUG",
        help="draft one for this competition on Kaggle; in a Kaggle notebook, for the one that is mounted",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--local", metavar="FOLDER", type=file_name, help="draft one for a folder that stands in for Kaggle"
    )
    what.add_argument("--like", metavar="NAME", help="copy a shipped one; --list shows them")
    what.add_argument("--list", action="store_true", help="list the shipped ones")
    what.add_argument(
        "--schema",
        metavar="FILE",
        type=file_name,
        help="write the JSON schema of competition.yaml, for editors",
    )
    what.add_argument(
        "--upgrade", metavar="FILE", type=file_name, help="rewrite a first-edition competition.yaml"
    )
    parser.add_argument("--force", action="store_true", help="replace an existing competition.yaml")


def run(args: argparse.Namespace) -> None:
    if args.set:
        raise ConfigError(
            f"--set {args.set[0]}: init takes no settings", hint="edit competition.yaml when it is there"
        )
    others = (args.local, args.like, args.list, args.schema, args.upgrade)
    if not any((args.slug, *others)):
        from kagglekit.competitions.start import mounted_slug

        args.slug = mounted_slug()
    if sum(map(bool, (args.slug, *others))) != 1:
        raise ConfigError(
            "init takes only one of SLUG, --local, --like, --list, --schema and --upgrade",
            hint="such as kagglekit init birdclef-2026",
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
        from kagglekit.competitions import start

        if args.slug and (name := start.named_for(args.slug)):
            console.note(f"kagglekit ships a competition.yaml for it: kagglekit init --like {name}")
        if args.like:
            written = start.like(args.like, path, force=args.force)
        elif args.local:
            written = start.from_folder(Path(args.local), path, force=args.force)
        else:
            written = start.from_host(args.slug, path, force=args.force)
        _show(written, args.config)


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
