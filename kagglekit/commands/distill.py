"""Train one small student on an ensemble's probabilities, or stronger ones in rounds on pseudo-labels."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from kagglekit.commands import add_count, add_teachers, next_command, open_project, show_run
from kagglekit.errors import ConfigError
from kagglekit.terminal import console

if TYPE_CHECKING:
    from kagglekit.distillation.rounds import Student
    from kagglekit.project import Project

EXAMPLE = """example:
  $ kagglekit distill --teachers all --model tcresnet --set models.tcresnet.model.width=3
  tcresnet/9c1f0b4e2a77: 4 folds, 812 s of training, 1,201,388 parameters, 2,106 clips/s
  student OOF 0.9012, its ensemble 0.9100: -0.9 points
  next: kagglekit export --model tcresnet --run 9c1f0b4e2a77
  $ kagglekit distill --rounds 4 --model resnet --share 0.4 --from-round 2:train.augment.mixup=0.4"""
OF_ROUNDS = ("power", "share", "test", "from_round", "keep_going")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_teachers(parser)
    parser.add_argument(
        "--method", metavar="NAME", help="how the teachers are blended (ensemble.method of competition.yaml)"
    )
    rounds = parser.add_argument_group("students in rounds, each taught by the one before")
    add_count(rounds, "--rounds", "at most N rounds; --model A,B names the student of each, the last for all")
    rounds.add_argument("--power", type=float, help="exponent of the teachers' probabilities (1.5)")
    rounds.add_argument("--share", type=float, help="pseudo-labelled share of an epoch's clips (0.5)")
    rounds.add_argument(
        "--test",
        action=argparse.BooleanOptionalAction,
        help="pseudo-label the test's clips, too (unless a notebook predicts them)",
    )
    rounds.add_argument(
        "--from-round",
        action="append",
        metavar="N:A.B=VALUE",
        help="a setting of the students from round N on, e.g. 2:train.augment.mixup=0.4",
    )
    rounds.add_argument(
        "--keep-going",
        action="store_true",
        default=None,
        help="go on after a round that gains nothing on OOF: where no labels are of the test's kind",
    )


def run(args: argparse.Namespace) -> None:
    project = open_project(args)
    options = {name: value for name in OF_ROUNDS if (value := getattr(args, name)) is not None}
    if args.rounds is not None:
        if args.method is not None:
            raise ConfigError("--method: students in rounds learn from the mean", hint="leave it out")
        return _in_rounds(project, args, options)
    if options:
        option = "--" + next(iter(options)).replace("_", "-")
        raise ConfigError(f"{option} is of students in rounds", hint="add --rounds 4, or leave it out")
    student, soft_targets, method, ensemble_oof = project.distill(
        args.teachers, method=args.method, model=args.model
    )
    score, metric = student.score, project.metric
    lines = [
        *show_run(student),
        f"student OOF {score.oof:.4f}, its ensemble {ensemble_oof:.4f}: "
        f"{metric.difference(score.oof - ensemble_oof)}{metric.unit}",
        next_command(project, f"export --model {student.model} --run {student.id}"),
    ]
    data = {
        "soft_targets": soft_targets,
        "run": student.id,
        "folder": student.folder,
        "ensemble_oof": ensemble_oof,
        "method": method,
        "parameters": student.metrics["parameters"],
        "oof": score.oof,
    }
    console.result({**data, **score.as_dict()}, lines)


def _in_rounds(project: Project, args: argparse.Namespace, options: dict[str, Any]) -> None:
    """Train the rounds, with lines for each, and name the run to submit."""
    metric = project.metric
    students = project.distill_rounds(
        args.teachers,
        rounds=args.rounds,
        model=args.model,
        **options,
        done=lambda student: console.show(_round(student, metric)),
    )
    last = students.rounds[-1]
    lines = []
    if not (last.beyond_noise or options.get("keep_going")):
        why = "it is worse than its teachers" if last.is_loss else "it gains nothing beyond noise"
        lines.append(f"stopped after round {last.number}: {why}")
        if project.config.data.unlabelled and not any(
            train.domain == "test" for train in project.config.data.train
        ):
            lines.append(
                "no recordings of data.train are of domain: test: where the test is of another kind, OOF "
                "does not show what students gain there; --keep-going goes on"
            )
    if students.best is None:
        lines += [
            "the teachers stay the best",
            next_command(project, f"submit --ensemble {','.join(last.teachers)} --dry-run"),
        ]
    else:
        name = f"{students.best.model}/{students.best.id}"
        lines += [f"use {name}", next_command(project, f"submit --ensemble {name} --dry-run")]
    data = [
        {
            "round": one.number,
            "teachers": one.teachers,
            "run": f"{one.run.model}/{one.run.id}",
            "oof": one.run.score.oof,
            "gain": one.gain,
            "error": one.error,
            "audit": one.audit._asdict(),
        }
        for one in students.rounds
    ]
    best = students.best and f"{students.best.model}/{students.best.id}"
    console.result({"rounds": data, "best": best}, lines)


def _round(student: Student, metric: Any) -> list[object]:
    """Return the lines of a finished round."""
    audit = student.audit
    return [
        f"round {student.number}, taught by {', '.join(student.teachers)}:",
        f"  audit on OOF: targets from 0.5 on have precision {audit.precision:.4f} and "
        f"recall {audit.recall:.4f}; {audit.mass:.4f} of all targets' sum is on true classes",
        *show_run(student.run),
        f"  OOF {student.run.score.oof:.4f}, {student.summary(metric)}",
    ]
