"""Train models on every fold, score them on clips they have not seen, and predict the test clips."""

import argparse

from kagglekit.commands import add_count, add_names, next_if_sound, open_project, show_run
from kagglekit.terminal import console
from kagglekit.terminal.table import ResultTable

EXAMPLE = """example:
  $ kagglekit train --model tcresnet,gru
  tcresnet/1b107403f218: 4 folds, 164 s of training, 136,634 parameters, 5,120 clips/s
    CV 0.8712 (95 % 0.8590 to 0.8834), unweighted accuracy 0.9066
  next: kagglekit submit --ensemble tcresnet,gru"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group(required=True)
    add_names(what, "--model", "architectures; kagglekit models lists them")
    add_names(what, "--recipe", "shipped settings by name, or a file.yaml; repeatable", action="extend")
    what.add_argument("--list", action="store_true", help="list the shipped recipes")
    parser.add_argument(
        "--tuned", action="store_true", help="use the best hyperparameters that `tune` has found"
    )
    add_count(parser, "--seeds", "train N times to estimate the variance between seeds (1)", default=1)
    add_count(parser, "--processes", "split each batch of a fold among N processes")
    add_names(parser, "--only", "train and score on clips of these classes alone")


def run(args: argparse.Namespace) -> None:
    project = open_project(args)
    if args.list:
        recipes = project.recipes()
        rows = [[recipe.name, recipe.model, recipe.about, recipe.report] for recipe in recipes]
        shown = ResultTable("recipes", ["name", "model", "about", "in the report"], rows)
        return console.result({"recipes": [recipe.model_dump() for recipe in recipes]}, [shown])
    runs = project.train(
        args.model,
        recipe=args.recipe,
        tuned=args.tuned,
        seeds=args.seeds,
        processes=args.processes,
        only=args.only,
    )
    lines = []
    for number, run in enumerate(runs, start=1):
        lines += show_run(run)
        if args.seeds > 1 and number % args.seeds == 0:
            lines.append(
                _over_seeds([run.metrics["cv"] for run in runs[number - args.seeds : number]], run.model)
            )
    lines.append(f"in {project.workspace.runs}")
    whole = [run for run in runs if not run.metrics.get("only")]
    sound = [run for run in whole if not run.score.constant] or whole[:1]
    if sound:
        models = ",".join(dict.fromkeys(run.model for run in sound))
        lines.append(next_if_sound(project, sound[0].score, f"submit --ensemble {models}"))
    console.result({"runs": [{**run.metrics, "folder": run.folder} for run in runs]}, lines)


def _over_seeds(scores: list[float], model: str) -> str:
    """Format mean and spread between seeds; a gain below two standard deviations is noise."""
    import statistics

    mean, spread = statistics.mean(scores), statistics.stdev(scores)
    return f"{model} over {len(scores)} seeds: CV {mean:.4f} ± {spread:.4f} (standard deviation)"
