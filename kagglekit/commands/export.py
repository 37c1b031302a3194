"""Write one fold's model as an ONNX file, checked against torch, with its size and its time for a clip."""

from __future__ import annotations

import argparse

EXAMPLE = """example:
  $ kagglekit export --model tcresnet --fold 0
  tcresnet-302687524788-fold_0.onnx: 4.8 MB, 1,201,388 parameters, within 2e-06 of torch
  one clip on one core: 0.61 ms, 0.98 ms with its log-mel"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", required=True, help="its best run is taken")
    parser.add_argument("--run", dest="run_name", default=None, metavar="ID", help="this run instead")
    parser.add_argument("--fold", type=int, default=0, metavar="K", help="this fold's network (0)")
    parser.add_argument("--output", default=None, metavar="FILE", help="by default named after the run")


def run(args: argparse.Namespace) -> None:
    from pathlib import Path

    from kagglekit.commands import open_workspace
    from kagglekit.data.prepare import prepare
    from kagglekit.errors import ConfigError
    from kagglekit.runs.export_onnx import export
    from kagglekit.runs.store import best_runs
    from kagglekit.terminal import console

    config, workspace = open_workspace(args)
    if not 0 <= args.fold < config.validation.folds:
        raise ConfigError(
            f"there is no fold {args.fold}", hint=f"name one from 0 to {config.validation.folds - 1}"
        )
    prepared = prepare(workspace)
    name = f"{args.model}/{args.run_name}" if args.run_name else args.model
    (chosen,) = best_runs(prepared, [name])
    path = Path(args.output or f"{chosen.model}-{chosen.id}-fold_{args.fold}.onnx")
    made = export(chosen.folder / f"fold_{args.fold}", path)
    size = f"{made.size / 1e6:.1f} MB, {made.parameters:,} parameters, within {made.error:.0e} of torch"
    time = f"{made.network_ms:.2f} ms, {made.clip_ms:.2f} ms with its log-mel"
    console.result({"run": chosen.id, **made._asdict()}, [f"{path}: {size}", f"one clip on one core: {time}"])
