"""Train the recipes of docs/report.md, or others, and compare their scores.

Recipes that are trained already are not trained again. A recipe that fails, because its loss explodes or a
checkpoint is missing, is a row with its reason. Nothing is submitted.
"""

import argparse

from kagglekit.commands import add_count, add_names, add_time_limit, open_project
from kagglekit.terminal import console
from kagglekit.terminal.table import ResultTable

EXAMPLE = """example:
  $ kagglekit reproduce --recipe gru,ast_12 --time-limit 40m
  recipe   model       cv   unweighted   constant   public   minutes   report      error
  gru      gru     0.8634       0.8863              0.8850      10.7
  ast_12   ast                                                         97.7 % ...   checkpoint 'MIT...'..."""


SHOWN = {"plain": "unweighted"}  # columns that the table names otherwise than the stored rows


def add_arguments(parser: argparse.ArgumentParser) -> None:
    about = "names of recipes, or all; by default the report's thirteen"
    add_names(parser, "--recipe", about)
    add_count(parser, "--epochs", "epochs of every training")
    add_time_limit(parser, "begin no training later")


def run(args: argparse.Namespace) -> None:
    rows = open_project(args).reproduce(args.recipe, epochs=args.epochs, time_limit=args.time_limit)
    shown = [
        [f"{cell:.1f}" if name == "minutes" and cell is not None else cell for name, cell in row.items()]
        for row in rows
    ]
    console.result(
        {"recipes": rows}, [ResultTable("recipes", [SHOWN.get(name, name) for name in rows[0]], shown)]
    )
