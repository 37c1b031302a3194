"""Train one small student on an ensemble's probabilities; its own OOF shows how near it comes."""

import argparse

from kagglekit.commands import add_teachers, next_command, open_project, show_run
from kagglekit.terminal import console

EXAMPLE = """example:
  $ kagglekit distill --teachers all --model tcresnet --set models.tcresnet.model.width=3
  tcresnet/9c1f0b4e2a77: 4 folds, 812 s of training, 1,201,388 parameters, 2,106 clips/s
  student OOF 0.9012, its ensemble 0.9100: -0.9 points
  next: kagglekit export --model tcresnet --run 9c1f0b4e2a77"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_teachers(parser)
    parser.add_argument(
        "--method", metavar="NAME", help="how the teachers are blended (ensemble.method of competition.yaml)"
    )


def run(args: argparse.Namespace) -> None:
    project = open_project(args)
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
