"""Train on pseudo-labelled test clips, after an audit of the same rule on labelled clips."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from kagglekit.commands import add_count, add_teachers, next_command, open_project, show_score
from kagglekit.errors import listed
from kagglekit.terminal import console
from kagglekit.terminal.table import ResultTable, first_rows

if TYPE_CHECKING:
    from kagglekit.distillation.pseudo_labels import PseudoLabels

EXAMPLE = """example:
  $ kagglekit pseudo --teachers all --model tcresnet --seeds 3
  audit on OOF: 0.71 of the clips pseudo-labelled, 0.9812 of them right
  tcresnet with 1,902 pseudo-labelled clips a fold (25 %): OOF +0.9 ± 0.3 points over 3 seeds
  next: kagglekit submit --best --dry-run"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_teachers(parser)
    parser.add_argument("--agree", type=int, metavar="K", help="teachers that must agree; all by default")
    parser.add_argument(
        "--precision",
        type=float,
        default=0.97,
        help="minimum precision of pseudo-labels on OOF (0.97); below it nothing is trained",
    )
    parser.add_argument(
        "--share",
        type=float,
        default=0.25,
        help="maximum share of pseudo-labelled clips among the training clips (0.25)",
    )
    add_count(parser, "--seeds", "train N times with and without (1)", default=1)
    parser.add_argument("--no-train", dest="train", action="store_false", help="audit and choose only")


def run(args: argparse.Namespace) -> None:
    project = open_project(args)
    labels, gains = project.pseudo(
        args.teachers,
        model=args.model,
        agree=args.agree,
        precision=args.precision,
        share=args.share,
        seeds=args.seeds,
        train=args.train,
        audited=lambda labels: console.show(_audit(labels)),
    )
    data: dict[str, Any] = {
        "soft_targets": labels.key,
        "audit": labels.audit._asdict(),
        "counts": labels.counts,
    }
    if gains is None:
        then = next_command(project, f"train --model {args.model} --set train.soft_targets={labels.key}")
        return console.result(data, [then])
    last = gains.students[-1]
    lines = [
        f"{args.model} with pseudo-labels, {last.model}/{last.id}:",
        *show_score(last.score),
        f"OOF {gains.summary()} over {args.model} without them",
        next_command(project, "submit --best --dry-run"),
    ]
    console.result({**data, **gains.as_dict()}, lines)


def _audit(labels: PseudoLabels) -> list[object]:
    """Return lines with the audit's coverage and precision, by class and in all."""
    audit = labels.audit
    several = bool(audit.absent)
    rows: list[list[Any]] = []
    for name, (count, precision) in audit.by_class.items():
        absent, right = audit.absent.get(name, (0, 0.0))
        lacking = [absent, right if absent else None] if several else []
        counted = [name, count, precision if count else None, *lacking]
        rows.append([*counted, f"{labels.counts[name]:,.0f}"])
    columns = ["class", "clips", "precision", *(["absent in", "right"] if several else [])]
    left_out = f"; left out, too often wrong: {listed(audit.left_out)}" * bool(audit.left_out)
    what = "pairs of a clip and a class" if several else "clips"
    return [
        *first_rows(ResultTable("audit on OOF", [*columns, "clips a fold"], rows), "classes"),
        f"audit on OOF: {audit.coverage:.2f} of the {what} pseudo-labelled, {audit.precision:.4f} of "
        f"{'the classes found present' if several else 'them'} right{left_out}",
    ]
