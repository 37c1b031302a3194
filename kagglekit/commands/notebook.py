"""Build a notebook that predicts the host's hidden test with a blend, rehearse it here, or train on the host.

build: write the folder that is pushed: the networks as ONNX, an inference-only kagglekit, wheels, a script.
rehearse: build it, then run it without network, with read-only mounts, under the competition's limits.
train: train models on the host's machines, and bring the runs back as if they had been trained here.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from kagglekit.commands import (
    add_blend,
    add_count,
    add_names,
    file_name,
    next_command,
    next_if_sound,
    open_project,
    show_run,
)
from kagglekit.commands.submit import Prompt
from kagglekit.errors import ConfigError, SubmissionError
from kagglekit.terminal import console

if TYPE_CHECKING:
    from kagglekit.notebooks.folder import Built
    from kagglekit.notebooks.rehearse import Rehearsed
    from kagglekit.project import Project

ACTIONS = ("build", "rehearse", "train")
ACCELERATOR, NO_ACCELERATOR = "NvidiaTeslaT4", "none"
"""Kaggle's name of the GPU that most of its notebooks have; the processor alone."""
PRECISION = "float32"
EXAMPLE = """example:
  $ kagglekit notebook rehearse --ensemble tcresnet,gru
  .kagglekit/notebooks/3f2a91c04b7e: 65.2 MB, 14 files; tcresnet, gru
  rehearsed without network: visible 0 recordings, empty 0, large 100 of 60 s
    predict 41.2 s here on 2 cores; the host's 4 cores: factor 0.50
  700 recordings: 2.4 of 90 minutes expected, 0.61 GB of 30
  $ kagglekit notebook train --model tcresnet
    GPU quota: 3.2 of 30.0 hours used until 2026-12-05 00:00 UTC
  Push it? [y/N] y"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=ACTIONS, help="what to do")
    source = parser.add_mutually_exclusive_group()
    add_names(source, "--ensemble", "models, or runs as model/id; all trained models by default")
    source.add_argument("--best", action="store_true", help="the best by nested CV of all that is trained")
    add_blend(parser, None)
    parser.add_argument(
        "--precision",
        choices=("float32", "float16", "int8"),
        default=PRECISION,
        help=f"of the weights ({PRECISION})",
    )
    parser.add_argument("--wheels", metavar="FOLDER", type=file_name, help="wheels of your own, not of PyPI")
    add_names(parser, "--model", "of train: what to train")
    about = f"of train: as the host calls it, or {NO_ACCELERATOR} ({ACCELERATOR})"
    parser.add_argument("--accelerator", default=ACCELERATOR, metavar="NAME", help=about)
    parser.add_argument("--yes", action="store_true", help="of train: skip the confirmation prompt")
    parser.add_argument("--force", action="store_true", help="of train: again what has failed there")
    add_count(parser, "--recordings", "of the large synthetic test of rehearse; 0: none (100)")


def run(args: argparse.Namespace) -> None:
    if args.action == "train":
        return _train(args)
    if args.model or args.accelerator != ACCELERATOR or args.yes or args.force:
        raise ConfigError(
            f"--model, --accelerator, --yes and --force are of notebook train, not of {args.action}",
            hint="name what is built with --ensemble",
        )
    project = open_project(args)
    built = project.notebook_build(
        args.ensemble,
        best=args.best,
        method=args.method,
        decision=args.decision,
        precision=args.precision,
        wheels=args.wheels,
    )
    data, lines = _built(built)
    if args.action == "build":
        lines.append(next_command(project, f"notebook rehearse{_choice(args)}"))
        console.result(data, lines)
        return
    console.show(lines)
    rehearsed = project.notebook_rehearse(built, recordings=args.recordings)
    console.result({**data, **_facts(rehearsed)}, _shown(project, rehearsed))
    if not rehearsed.fits:
        record = rehearsed.record
        raise SubmissionError(
            f"{record.minutes:.1f} minutes expected are more than 80 % of the limit of {record.limit:g}",
            hint="blend fewer or smaller runs; to push it all the same: "
            f"kagglekit submit --notebook {built.path} --upload --force",
        )


def _choice(args: argparse.Namespace) -> str:
    """Return the options of this call that say what is built."""
    named = {
        "ensemble": ",".join(args.ensemble or ()),
        "method": args.method,
        "decision": args.decision,
        "precision": args.precision if args.precision != PRECISION else None,
        "wheels": args.wheels,
    }
    words = [f" --{name} {value}" for name, value in named.items() if value]
    return " --best" * bool(args.best) + "".join(words)


def _train(args: argparse.Namespace) -> None:
    given = (args.ensemble, args.best, args.method, args.decision, args.recordings is not None)
    if any(given) or not args.model:
        raise ConfigError(
            "notebook train takes --model, and no blend",
            hint="such as kagglekit notebook train --model tcresnet",
        )
    project = open_project(args)
    runs = project.notebook_train(
        args.model,
        accelerator=None if args.accelerator == NO_ACCELERATOR else args.accelerator,
        wheels=args.wheels,
        force=args.force,
        confirm=Prompt(project, args.yes, "Push it?").ask,
    )
    lines: list[object] = [line for run in runs for line in show_run(run)]
    lines.append(f"in {project.workspace.runs}")
    models = ",".join(dict.fromkeys(run.model for run in runs))
    lines.append(next_if_sound(project, runs[0].score, f"submit --ensemble {models}"))
    console.result({"runs": [{**run.metrics, "folder": run.folder} for run in runs]}, lines)


def _built(built: Built) -> tuple[dict[str, Any], list[object]]:
    record = built.record
    data = {"folder": str(built.path), "key": record.key, "bytes": record.bytes, "files": record.files}
    models = ", ".join(record.facts.get("models", []))
    size = f"{record.bytes / 1e6:,.1f} MB, {len(record.files)} files"
    return data, [f"{built.path}: {size}; {models}"]


def _facts(rehearsed: Rehearsed) -> dict[str, Any]:
    record = rehearsed.record
    return {
        "minutes": record.minutes,
        "limit": record.limit,
        "recordings": record.recordings,
        "factor": record.factor,
        "peak_gb": record.peak_gb,
        "clock": record.clock,
        "fits": rehearsed.fits,
        "isolated": rehearsed.isolated,
        "unread": rehearsed.unread,
    }


def _shown(project: Project, rehearsed: Rehearsed) -> list[object]:
    record, limits = rehearsed.record, project.config.competition.limits
    runs = ", ".join(
        f"{name} {count:,} recordings ({rehearsed.rows[name]:,} rows)"
        for name, count in rehearsed.recordings.items()
    )
    how = (
        "without network"
        if rehearsed.isolated
        else "with proxies that refuse, as there are no namespaces here"
    )
    clock = [f"    {stage:<8} {seconds:8.1f} s" for stage, seconds in record.clock.items()]
    slow = f" times slowdown {limits.slowdown:g}" if limits.slowdown != 1 else ""
    return [
        f"rehearsed {how}: {runs}",
        *clock,
        f"  on {rehearsed.cores} cores here, {limits.cores} there{slow}: factor {record.factor:g}",
        *[f"  cannot be read: {path}" for path in rehearsed.unread],
        f"{record.recordings:,} recordings: {record.minutes:.1f} of {record.limit:g} minutes expected, "
        f"{record.peak_gb:.2f} GB of {limits.memory_gb:g}",
    ]
