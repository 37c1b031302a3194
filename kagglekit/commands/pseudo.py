"""Let test clips on which an ensemble is sure join the training, after an audit on labelled ones."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from kagglekit.commands import names

if TYPE_CHECKING:
    from kagglekit.distillation.pseudo_labels import PseudoLabels

EXAMPLE = """example:
  $ kagglekit pseudo --teachers all --model tcresnet --seeds 3
  audit on OOF: 0.71 of the clips taken, 0.9812 of them right
  tcresnet with 1,902 pseudo-labelled clips a fold (25 %): OOF +0.9 ± 0.3 points over 3 seeds
  next: kagglekit submit --best --dry-run"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--teachers",
        type=names,
        default=None,
        metavar="A,B",
        help="models, or runs as model/id; all by default",
    )
    parser.add_argument("--model", default="tcresnet", help="the student (tcresnet)")
    parser.add_argument(
        "--agree", type=int, default=None, metavar="K", help="teachers that must agree; all by default"
    )
    parser.add_argument(
        "--precision",
        type=float,
        default=0.97,
        help="what the audit must find (0.97), else nothing is trained",
    )
    parser.add_argument(
        "--share",
        type=float,
        default=0.25,
        help="pseudo-labelled clips among those trained on, at most (0.25)",
    )
    parser.add_argument(
        "--seeds", type=int, default=1, metavar="N", help="train N times with and without (1)"
    )
    parser.add_argument("--no-train", action="store_true", help="audit and choose, and stop there")


def run(args: argparse.Namespace) -> None:
    from kagglekit.commands import next_command, one_label_only, open_workspace, show_score
    from kagglekit.data.prepare import prepare
    from kagglekit.distillation import pseudo_labels as pseudo
    from kagglekit.distillation.compare import gains
    from kagglekit.ensemble.members import read_oof
    from kagglekit.models import info
    from kagglekit.runs.store import best_runs
    from kagglekit.terminal import console

    config, workspace = open_workspace(args)
    one_label_only(config, "pseudo")
    info(args.model)
    prepared = prepare(workspace)
    runs = sorted(best_runs(prepared, args.teachers), key=lambda run: (run.model, run.id))
    rule = pseudo.PseudoLabelRule(_agree(args, len(runs)), *_shares(args))
    made = pseudo.make(prepared, runs, read_oof(prepared, runs), rule)
    lines: list[object] = _audit_lines(made)
    data: dict[str, Any] = {"teaching": made.key, "audit": made.audit._asdict(), "counts": made.counts}
    if args.no_train:
        lines.append(next_command(args, f"train --model {args.model} --set train.teaching={made.key}"))
        return console.result(data, lines)
    console.show(lines)
    found = gains(prepared, args.model, made.key, args.seeds)
    last = found.students[-1]
    lines = [
        f"{args.model} with pseudo-labels, {last.model}/{last.id}:",
        *show_score(last.score),
        f"OOF {found.summary()} over {args.model} without them",
        next_command(args, "submit --best --dry-run"),
    ]
    console.result({**data, **found.as_dict()}, lines)


def _agree(args: argparse.Namespace, runs: int) -> int:
    """How many teachers must agree.

    Raises:
        ConfigError: that many there are not.
    """
    from kagglekit.errors import ConfigError

    agree: int = runs if args.agree is None else args.agree
    if not 1 <= agree <= runs:
        raise ConfigError(f"--agree {agree} of {runs} teachers", hint=f"name a number from 1 to {runs}")
    return agree


def _shares(args: argparse.Namespace) -> tuple[float, float]:
    """--precision and --share.

    Raises:
        ConfigError: one of them is no share.
    """
    from kagglekit.errors import ConfigError

    for name in ("precision", "share"):
        if not 0 < getattr(args, name) < 1:
            raise ConfigError(
                f"--{name} {getattr(args, name):g} is no share", hint="name one between 0 and 1"
            )
    if args.seeds < 1:
        raise ConfigError(f"--seeds {args.seeds}", hint="train at least once")
    return args.precision, args.share


def _audit_lines(made: PseudoLabels) -> list[object]:
    """What the rule takes, and how often it is right."""
    from kagglekit.commands import table

    rows = [
        [name, count, precision if count else None, f"{made.counts[name]:,.0f}"]
        for name, (count, precision) in made.audit.by_class.items()
    ]
    left_out = f"; wrong too often, and left out: {', '.join(made.audit.left_out)}" * bool(
        made.audit.left_out
    )
    return [
        table("the rule on OOF", ["class", "taken", "precision", "test clips a fold"], rows),
        f"audit on OOF: {made.audit.taken:.2f} of the clips taken, {made.audit.precision:.4f} of them right"
        + left_out,
    ]
