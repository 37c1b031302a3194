"""Search an architecture's hyperparameters, then train the best on every fold. A killed search goes on."""

from __future__ import annotations

import argparse

from kagglekit.commands import duration, names

EXAMPLE = """example:
  $ kagglekit tune --model convs2s --trials 20
  convs2s: 20 trials, 11 pruned, best CV 0.8843 (trial 14)
  next: kagglekit submit --ensemble convs2s"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=names, required=True, metavar="A,B", help="architectures, see README")
    parser.add_argument("--trials", type=int, default=None, metavar="N", help="in the study (search.trials)")
    parser.add_argument(
        "--time-limit", type=duration, default=None, metavar="30m", help="begin no epoch later"
    )
    parser.add_argument("--no-train", action="store_true", help="do not train the best at the end")


def run(args: argparse.Namespace) -> None:
    import time

    from kagglekit import console
    from kagglekit.commands import next_command, open_workspace, show_score
    from kagglekit.commands.train import describe_run
    from kagglekit.data.prepare import prepare
    from kagglekit.errors import ConfigError, MissingError
    from kagglekit.search.study import best_plan, tune
    from kagglekit.training.plan import resolve
    from kagglekit.training.run import train_run

    if args.trials is not None and args.trials < 1:
        raise ConfigError(f"--trials {args.trials}: needed is at least 1", hint="for example --trials 20")
    deadline = time.monotonic() + args.time_limit if args.time_limit else None
    config, workspace = open_workspace(args)
    for model in args.model:
        resolve(config, model)  # a wrong name fails before work begins
    prepared = prepare(config, workspace)
    results, lines = [], []
    for model in args.model:
        found = tune(config, workspace, prepared, model, trials=args.trials, deadline=deadline)
        if found.best is None:
            raise MissingError(
                f"no trial of {model} has finished: {found.trials} trials, {found.failed} failed",
                hint="give it more time or trials; the notes above say why trials failed",
            )
        failed = f", {found.failed} failed" if found.failed else ""
        best = f"best CV {found.value:.4f} (trial {found.best})"
        lines.append(f"{model}: {found.trials} trials, {found.pruned} pruned{failed}, {best}")
        lines += [
            f"  {name} = {value:.4g}" if isinstance(value, float) else f"  {name} = {value}"
            for name, value in found.params.items()
        ]
        counts = {"trials": found.trials, "pruned": found.pruned, "failed": found.failed}
        result = {"model": model, "study": found.name, **counts, "cv": found.value}
        if not args.no_train:
            plan, source = best_plan(config, workspace, prepared, model)
            trained = train_run(config, workspace, prepared, plan, source=source)
            result["run"] = trained.metrics
            lines += [describe_run(trained), *show_score(trained.score)]
        results.append(result | {"params": found.params})
    then = "train --tuned --model" if args.no_train else "submit --ensemble"
    lines.append(next_command(args, f"{then} {','.join(args.model)}"))
    console.result({"studies": results}, lines)
