"""Search an architecture's hyperparameters, then train the best on every fold. A killed search goes on."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from kagglekit.commands import duration, names

if TYPE_CHECKING:
    from kagglekit.data.prepare import Prepared
    from kagglekit.search.study import Outcome

EXAMPLE = """example:
  $ kagglekit tune --model convs2s --trials 20
  convs2s: 20 trials, 11 pruned, 48 % of epochs saved, best CV 0.8843 (trial 14)
  next: kagglekit submit --ensemble convs2s"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=names, required=True, metavar="A,B", help="architectures, see README")
    ends = parser.add_argument_group("when it ends")
    ends.add_argument("--trials", type=int, default=None, metavar="N", help="in the study (search.trials)")
    ends.add_argument(
        "--time-limit", type=duration, default=None, metavar="30m", help="of the search: begin no epoch later"
    )
    ends.add_argument(
        "--until-stagnation",
        type=int,
        nargs="?",
        const=0,
        default=None,
        metavar="N",
        help="after N trials (15) without progress beyond the noise",
    )
    ends.add_argument("--no-train", action="store_true", help="do not train the best at the end")
    how = parser.add_argument_group("how it searches")
    how.add_argument("--jobs", type=int, default=1, metavar="N", help="trials at once on this machine")
    how.add_argument("--storage", default=None, metavar="URL", help="shared by machines: postgresql://...")
    how.add_argument("--cluster", default=None, metavar="ADDRESS", help="on Ray: auto, ray://..., local")
    how.add_argument(
        "--objectives", type=names, default=None, metavar="A,B", help="score,params or score,latency"
    )
    how.add_argument(
        "--from",
        dest="sources",
        type=names,
        action="extend",
        default=[],
        metavar="STUDY",
        help="try the best of another study, or model, after the recipe",
    )
    look = parser.add_argument_group("looking at a study instead of searching")
    look.add_argument("--best", action="store_true", help="print the best as YAML to keep")
    look.add_argument(
        "--plots", metavar="FILE.html", help="history, importance, slices, parallel coordinates"
    )
    look.add_argument("--dashboard", action="store_true", help="serve optuna-dashboard on this machine")


def run(args: argparse.Namespace) -> None:
    import json
    import time

    from kagglekit.commands import open_workspace
    from kagglekit.data.prepare import prepare
    from kagglekit.training.plan import resolve

    _check(args)
    if args.storage is not None:
        args.set = [*args.set, f"search.storage={json.dumps(args.storage)}"]
    if args.objectives is not None:
        args.set = [*args.set, f"search.objectives={json.dumps(args.objectives)}"]
    deadline = time.monotonic() + args.time_limit if args.time_limit else None
    config, workspace = open_workspace(args)
    for model in args.model:
        resolve(config, model)  # a wrong name fails before work begins
    prepared = prepare(workspace)
    if args.best:
        _show_best(prepared, args.model)
    elif args.plots:
        _show_plots(prepared, args.model, args.plots)
    elif args.dashboard:
        _serve(prepared, args.model)
    else:
        _search(args, prepared, deadline)


def _check(args: argparse.Namespace) -> None:
    from kagglekit.errors import ConfigError

    if args.trials is not None and args.trials < 1:
        raise ConfigError(f"--trials {args.trials}: needed is at least 1", hint="for example --trials 20")
    if args.until_stagnation is not None and args.until_stagnation < 0:
        raise ConfigError(
            f"--until-stagnation {args.until_stagnation}: needed is at least 1",
            hint="or leave the number out",
        )
    if args.jobs != 1:
        if args.cluster is not None:
            raise ConfigError("--jobs and --cluster both say where to train", hint="leave one of them out")
        from kagglekit.search.jobs import check_jobs

        check_jobs(args.jobs)


def _search(
    args: argparse.Namespace,
    prepared: Prepared,
    deadline: float | None,
) -> None:
    from kagglekit.commands import next_command, show_score
    from kagglekit.commands.train import describe_run
    from kagglekit.errors import MissingError
    from kagglekit.runs.train import train_run
    from kagglekit.search.study import best_plan
    from kagglekit.search.tune import STAGNATION, tune
    from kagglekit.terminal import console

    stagnation = STAGNATION if args.until_stagnation == 0 else args.until_stagnation
    results, lines = [], []
    for model in args.model:
        found = tune(
            prepared,
            model,
            trials=args.trials,
            deadline=deadline,
            stagnation=stagnation,
            jobs=args.jobs,
            cluster=args.cluster,
            sources=args.sources,
        )
        if found.best is None:
            raise MissingError(
                f"no trial of {model} has finished: {found.trials} trials, {found.failed} failed",
                hint="give it more time or trials; the notes above say why trials failed",
            )
        lines += describe(model, found)
        counts = {
            "trials": found.trials,
            "pruned": found.pruned,
            "failed": found.failed,
            "saved": found.saved,
        }
        result = {"model": model, "study": found.name, **counts, "best": found.best, "cv": found.value}
        if not args.no_train:
            own, plan, source = best_plan(prepared, model)
            trained = train_run(own, plan, source=source)
            result["run"] = trained.metrics
            lines += [describe_run(trained), *show_score(trained.score)]
        results.append(result | {"params": found.params, "front": found.front})
    then = "train --tuned --model" if args.no_train else "submit --ensemble"
    lines.append(next_command(args, f"{then} {','.join(args.model)}"))
    console.result({"studies": results}, lines)


def describe(model: str, found: Outcome) -> list[object]:
    """Where a study stands, in lines."""
    from kagglekit.commands import table

    failed = f", {found.failed} failed" if found.failed else ""
    saved = f", {found.saved:.0%} of epochs saved".replace("%", " %") if found.saved else ""
    best = f"best CV {found.value:.4f} (trial {found.best})"
    lines: list[object] = [f"{model}: {found.trials} trials, {found.pruned} pruned{failed}{saved}, {best}"]
    lines += [
        f"  {name} = {value:.4g}" if isinstance(value, float) else f"  {name} = {value}"
        for name, value in found.params.items()
    ]
    if found.front:
        rows: list[list[Any]] = [list(row.values()) for row in found.front]
        lines.append(table("no other trial beats these in all", list(found.front[0]), rows))
    return lines


def _show_best(prepared: Prepared, chosen: list[str]) -> None:
    from kagglekit.search.best import to_keep
    from kagglekit.terminal import console

    kept = [to_keep(prepared, model) for model in chosen]
    console.result({"best": [found for found, _ in kept]}, [text for _, text in kept])


def _show_plots(prepared: Prepared, chosen: list[str], file: str) -> None:
    from pathlib import Path

    from kagglekit.search.plots import write_plots
    from kagglekit.terminal import console

    path = Path(file)
    shown = write_plots(prepared, chosen, path)
    console.result({"file": path, "plots": shown}, [f"{path}: {len(shown)} plots; open it in a browser"])


def _serve(prepared: Prepared, chosen: list[str]) -> None:
    from kagglekit.search.plots import serve_dashboard

    serve_dashboard(prepared, chosen[0])
