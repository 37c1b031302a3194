"""Write one fold's model as an ONNX file, checked against torch, with its size and its time for a clip."""

import argparse

from kagglekit.commands import add_run, file_name, open_project
from kagglekit.terminal import console

EXAMPLE = """example:
  $ kagglekit export --model tcresnet --fold 0
  tcresnet-302687524788-fold_0.onnx: 4.8 MB, 1,201,388 parameters, within 2e-06 of torch
  one clip on one core: 0.61 ms, 0.98 ms with its log-mel"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_run(parser)
    parser.add_argument("--fold", type=int, default=0, metavar="K", help="export this fold's network (0)")
    parser.add_argument("--out", metavar="FILE", type=file_name, help="by default named after the run")


def run(args: argparse.Namespace) -> None:
    run, path, facts = open_project(args).export(args.model, args.run_id, fold=args.fold, out=args.out)
    size = f"{facts.size / 1e6:.1f} MB, {facts.parameters:,} parameters, within {facts.error:.0e} of torch"
    time = f"{facts.network_ms:.2f} ms, {facts.clip_ms:.2f} ms with its log-mel"
    console.result({"run": run.id, **facts._asdict()}, [f"{path}: {size}", f"one clip on one core: {time}"])
