"""Predict the test clips with a trained run, or the words in wav files."""

from __future__ import annotations

import argparse

EXAMPLE = """example:
  $ kagglekit predict --model tcresnet hello.wav
  hello.wav  unknown 0.93  no 0.03  go 0.02"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", required=True, help="its best run is taken")
    parser.add_argument("--run", dest="run_name", default=None, metavar="ID", help="this run instead")
    parser.add_argument("wavs", nargs="*", metavar="WAV", help="files to predict instead of the test clips")


def run(args: argparse.Namespace) -> None:
    from pathlib import Path

    from kagglekit import console
    from kagglekit.commands import next_command, open_workspace
    from kagglekit.data.prepare import prepare
    from kagglekit.errors import MissingError
    from kagglekit.training.runs import METRICS, TEST, best_run, load_run
    from kagglekit.training.wavs import predict_wavs

    config, workspace = open_workspace(args)
    prepared = prepare(config, workspace)
    if args.run_name is None:
        chosen = best_run(config, workspace, prepared, args.model)
    else:
        folder = workspace.runs / args.model / args.run_name
        if Path(args.run_name).name != args.run_name or not (folder / METRICS).is_file():
            raise MissingError(
                f"no finished run {args.model}/{args.run_name}", hint=f"look in {workspace.runs}"
            )
        chosen = load_run(folder)
    if not args.wavs:
        lines: list[object] = [
            f"test logits of {chosen.model}/{chosen.id}: {chosen.folder / TEST}",
            next_command(args, f"submit --ensemble {args.model}"),
        ]
        console.result({"run": chosen.id, "test": chosen.folder / TEST}, lines)
        return
    predicted = predict_wavs(chosen, [Path(wav) for wav in args.wavs])
    lines = [
        f"{name}  " + "  ".join(f"{label} {prob:.2f}" for label, prob in list(probs.items())[:3])
        for name, probs in predicted.items()
    ]
    console.result({"run": chosen.id, "probs": predicted}, lines)
