"""Predict the test clips with a trained run, or the classes in audio files."""

import argparse

from kagglekit.commands import add_cluster, add_run, next_command, open_project
from kagglekit.terminal import console

EXAMPLE = """example:
  $ kagglekit predict --model tcresnet hello.wav
  hello.wav  unknown 0.93  no 0.03  go 0.02"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_run(parser)
    add_cluster(parser, "predict test clips")
    parser.add_argument("wavs", nargs="*", metavar="WAV", help="files to predict instead of the test clips")


def run(args: argparse.Namespace) -> None:
    project = open_project(args)
    chosen = project.find_run(args.model, args.run_id)
    if not args.wavs:
        path = project.predict_test(run=chosen, cluster=args.cluster)
        lines = [
            f"test logits of {chosen.model}/{chosen.id}: {path}",
            next_command(project, f"submit --ensemble {args.model}"),
        ]
        return console.result({"run": chosen.id, "test": path}, lines)
    predicted = project.predict(*args.wavs, run=chosen)
    lines = [
        f"{name}  " + "  ".join(f"{label} {prob:.2f}" for label, prob in list(probs.items())[:3])
        for name, probs in predicted.items()
    ]
    console.result({"run": chosen.id, "probs": predicted}, lines)
