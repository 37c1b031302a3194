"""Write a run as ONNX, from a waveform to logits, checked against torch, with size and time for a clip."""

import argparse

from kagglekit.commands import add_run, file_name, open_project
from kagglekit.terminal import console

EXAMPLE = """example:
  $ kagglekit export --model tcresnet --fold 0
  tcresnet-302687524788-fold_0.onnx: 5.0 MB, 1,201,388 parameters, within 2e-06 of torch
  one clip of 16,000 samples at 16,000 Hz on one core: 1.02 ms"""


def fold(text: str) -> int | None:
    """Read a fold's number, or `all`."""
    return None if text == "all" else int(text)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_run(parser)
    parser.add_argument(
        "--fold",
        type=fold,
        default=0,
        metavar="K",
        help="export this fold's network (0); all: the mean of all folds",
    )
    parser.add_argument(
        "--precision",
        choices=("float32", "float16", "int8"),
        default="float32",
        help="of the weights; refused where logits would change by more than 0.01 (float32)",
    )
    parser.add_argument("--out", metavar="FILE", type=file_name, help="by default named after the run")


def run(args: argparse.Namespace) -> None:
    exported = open_project(args).export(
        args.model, args.run_id, fold=args.fold, out=args.out, precision=args.precision
    )
    facts = exported.facts
    size = f"{facts.size / 1e6:.1f} MB, {facts.parameters:,} parameters, within {facts.error:.0e} of torch"
    clip = f"one clip of {facts.samples:,} samples at {facts.sample_rate:,} Hz on one core"
    lines = [f"{exported.path}: {size}", f"{clip}: {facts.clip_ms:.2f} ms"]
    console.result({"run": exported.run.id, **facts._asdict()}, lines)
