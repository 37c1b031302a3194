"""Search an architecture's hyperparameters, then train the best on every fold. A killed search goes on."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from kagglekit.commands import (
    add_cluster,
    add_count,
    add_names,
    add_time_limit,
    file_name,
    next_command,
    open_project,
    show_run,
)
from kagglekit.errors import plural
from kagglekit.terminal import console
from kagglekit.terminal.table import ResultTable

if TYPE_CHECKING:
    from kagglekit.project.training import Tuned

EXAMPLE = """example:
  $ kagglekit tune --model convs2s --trials 20
  convs2s: 20 trials, 11 pruned, 48 % of epochs saved, best CV 0.8843 (trial 14)
  next: kagglekit submit --ensemble convs2s"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_names(parser, "--model", "architectures; kagglekit models lists them", required=True)
    ends = parser.add_argument_group("when it ends")
    add_count(ends, "--trials", "total trials, earlier calls included (search.trials)")
    add_time_limit(ends, "stop searching after this long")
    ends.add_argument(
        "--until-stagnation",
        type=int,
        nargs="?",
        const=True,
        metavar="N",
        help="stop after N trials (15) without progress beyond the noise",
    )
    ends.add_argument(
        "--no-train", dest="train", action="store_false", help="do not train the best at the end"
    )
    how = parser.add_argument_group("how it searches")
    add_count(how, "--jobs", "trials at once on this machine", default=1)
    how.add_argument("--storage", metavar="URL", help="shared by machines: postgresql://...")
    add_cluster(how, "train the folds")
    add_names(how, "--objectives", "score,params or score,latency")
    about = "try the best trials of another study, or model, after the recipe"
    add_names(how, "--from", about, metavar="STUDY", dest="from_", action="extend")
    look = parser.add_argument_group("looking at a study instead of searching")
    look.add_argument("--best", action="store_true", help="print the best settings as YAML")
    look.add_argument(
        "--plots", action="store_true", help="draw history, importance, slices, parallel coordinates"
    )
    look.add_argument(
        "--out",
        metavar="FILE",
        type=file_name,
        default="study.html",
        help="for --plots; study.html by default",
    )
    look.add_argument("--dashboard", action="store_true", help="serve optuna-dashboard on this machine")


def run(args: argparse.Namespace) -> None:
    project = open_project(args)
    if args.best:
        settings = project.best_settings(args.model)
        return console.result({"best": [best for best, _ in settings]}, [text for _, text in settings])
    if args.plots:
        plots = project.study_plots(args.model, args.out)
        return console.result(
            {"file": args.out, "plots": plots}, [f"{args.out}: {len(plots)} plots; open it in a browser"]
        )
    if args.dashboard:
        return project.study_dashboard(args.model[0])
    results = project.tune(
        args.model,
        trials=args.trials,
        time_limit=args.time_limit,
        until_stagnation=args.until_stagnation,
        train=args.train,
        jobs=args.jobs,
        storage=args.storage,
        cluster=args.cluster,
        objectives=args.objectives,
        from_=args.from_,
    )
    then = "submit --ensemble" if args.train else "train --tuned --model"
    lines = [line for result in results for line in _lines(result)]
    lines.append(next_command(project, f"{then} {','.join(args.model)}"))
    console.result({"studies": [_data(result) for result in results]}, lines)


def _lines(result: Tuned) -> list[object]:
    """Return lines with the state of a study and the run with its best hyperparameters."""
    study = result.study
    failed = f", {study.failed} failed" if study.failed else ""
    saved = f", {study.saved:.0%} of epochs saved".replace("%", " %") if study.saved else ""
    best = f"best CV {study.value:.4f} (trial {study.best})"
    lines: list[object] = [
        f"{result.model}: {plural(study.trials, 'trial')}, {study.pruned} pruned{failed}{saved}, {best}"
    ]
    lines += [
        f"  {name} = {value:.4g}" if isinstance(value, float) else f"  {name} = {value}"
        for name, value in study.params.items()
    ]
    if study.front:
        rows: list[list[Any]] = [list(row.values()) for row in study.front]
        lines.append(ResultTable("Pareto front", list(study.front[0]), rows))
    return lines + (show_run(result.run) if result.run else [])


def _data(result: Tuned) -> dict[str, Any]:
    """Return a JSON-serialisable dict."""
    study = result.study
    data = {"model": result.model, "study": study.name, "best": study.best, "cv": study.value}
    data |= {
        name: getattr(study, name) for name in ("trials", "pruned", "failed", "saved", "params", "front")
    }
    return data | ({"run": result.run.metrics} if result.run else {})
