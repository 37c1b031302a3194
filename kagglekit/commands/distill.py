"""Teach one small student what an ensemble says; its own OOF shows how near it comes."""

from __future__ import annotations

import argparse

from kagglekit.commands import names

EXAMPLE = """example:
  $ kagglekit distill --teachers all --model tcresnet --set models.tcresnet.model.width=3
  tcresnet/9c1f0b4e2a77: 4 folds, 812 s of training, 1,201,388 parameters, 2,106 clips/s
  one student 0.9012 by OOF, its ensemble 0.9100: -0.9 points
  next: kagglekit export --model tcresnet --run 9c1f0b4e2a77"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--teachers",
        type=names,
        default=None,
        metavar="A,B",
        help="models, or runs as model/id; all by default",
    )
    parser.add_argument(
        "--method", default="caruana", metavar="NAME", help="how the teachers are blended (caruana)"
    )
    parser.add_argument("--model", default="tcresnet", help="the student (tcresnet)")


def run(args: argparse.Namespace) -> None:
    from kagglekit.commands import next_command, one_label_only, open_workspace, show_score
    from kagglekit.commands.ensemble import check_choices
    from kagglekit.commands.train import describe_run
    from kagglekit.data.prepare import prepare
    from kagglekit.distillation import distill
    from kagglekit.ensemble.build import compare
    from kagglekit.ensemble.members import read_oof
    from kagglekit.models import info
    from kagglekit.runs.store import best_runs
    from kagglekit.runs.train import train_run
    from kagglekit.terminal import console
    from kagglekit.training.plan import resolve

    config, workspace = open_workspace(args)
    one_label_only(config, "distill")
    info(args.model)
    args.decision = "none"
    check_choices(args)
    prepared = prepare(workspace)
    runs = sorted(best_runs(prepared, args.teachers), key=lambda run: (run.model, run.id))
    oof = read_oof(prepared, runs)
    methods, _ = compare(prepared, oof, args.method, args.decision)
    key = distill.make(prepared, runs, oof, methods.chosen)
    plan = resolve(config, args.model, {"train.teaching": key, "train.labels": "targets"})
    student = train_run(prepared, plan, source=f"teaching {key}")
    ensemble = methods.result(methods.chosen).accuracy
    less = 100 * (student.score.oof - ensemble)
    lines = [
        describe_run(student),
        *show_score(student.score),
        f"one student {student.score.oof:.4f} by OOF, its ensemble {ensemble:.4f}: {less:+.1f} points",
        next_command(args, f"export --model {student.model} --run {student.id}"),
    ]
    data = {"teaching": key, "run": student.id, "folder": student.folder, "ensemble_oof": ensemble}
    facts = {"method": methods.chosen, "parameters": student.metrics["parameters"]}
    console.result({**data, **facts, "oof": student.score.oof, **student.score.as_dict()}, lines)
