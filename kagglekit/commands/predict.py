"""Predict the test clips with a trained run, or the words in wav files."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kagglekit.data.prepare import Prepared
    from kagglekit.runs.store import Run

EXAMPLE = """example:
  $ kagglekit predict --model tcresnet hello.wav
  hello.wav  unknown 0.93  no 0.03  go 0.02"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", required=True, help="its best run is taken")
    parser.add_argument("--run", dest="run_name", default=None, metavar="ID", help="this run instead")
    parser.add_argument(
        "--cluster",
        default=None,
        metavar="ADDRESS",
        help="test clips on Ray: auto, ray://..., local",
    )
    parser.add_argument("wavs", nargs="*", metavar="WAV", help="files to predict instead of the test clips")


def run(args: argparse.Namespace) -> None:
    from pathlib import Path

    from kagglekit.commands import next_command, open_workspace
    from kagglekit.data.prepare import prepare
    from kagglekit.errors import MissingError
    from kagglekit.runs.predict_files import predict_wavs
    from kagglekit.runs.store import METRICS, TEST, best_run, load_run
    from kagglekit.terminal import console

    _config, workspace = open_workspace(args)
    prepared = prepare(workspace)
    if args.run_name is None:
        chosen = best_run(prepared, args.model)
    else:
        folder = workspace.runs / args.model / args.run_name
        if Path(args.run_name).name != args.run_name or not (folder / METRICS).is_file():
            raise MissingError(
                f"no finished run {args.model}/{args.run_name}", hint=f"look in {workspace.runs}"
            )
        chosen = load_run(folder)
    if not args.wavs:
        if not (chosen.folder / TEST).is_file():
            _predict_test(prepared, chosen, args.cluster)
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


def _predict_test(prepared: Prepared, run: Run, address: str | None) -> None:
    """Make a run's test logits again, from its folds' weights."""
    from kagglekit.config import Features, Train
    from kagglekit.data.shards import shards
    from kagglekit.errors import MissingError
    from kagglekit.files import tables
    from kagglekit.files.locks import locked
    from kagglekit.runs.predict_test import predict_test, predict_test_on
    from kagglekit.runs.store import TEST, read_meta, train_again
    from kagglekit.runs.train import make_dataset
    from kagglekit.training.plan import Plan

    if run.metrics["clips_key"] != prepared.key:
        raise MissingError(
            f"{run.folder / TEST} is not there, and the run is of other clips or folds than the present",
            hint=train_again(run.folder),
        )
    with locked(run.folder, f"run {run.model}/{run.id}"), shards(prepared, address) as shared:
        if shared is None:
            meta = read_meta(run.folder / "fold_0")
            plan = Plan(run.model, meta["params"], Train(**meta["train"]), Features(**meta["features"]))
            found = predict_test(prepared.config, make_dataset(prepared, plan), run.folder)
        else:
            found = predict_test_on(shared, run.folder)
        tables.write(found, run.folder / TEST)
