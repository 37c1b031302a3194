"""List the architectures: input, parameters, source, and the checkpoint or package that they need."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from kagglekit.commands import next_command, open_project
from kagglekit.terminal import console
from kagglekit.terminal.table import ResultTable

if TYPE_CHECKING:
    from kagglekit.models.catalog import CatalogRow

EXAMPLE = """example:
  $ kagglekit models
  model              input      parameters   source             needs                weights
  tcresnet           log_mel       136,634   arXiv:1904.03814
  speech_embedding   log_mel       342,028   arXiv:2002.01322   kagglekit[speech]    missing
  next: kagglekit train --model tcresnet"""

COLUMNS = ["model", "input", "parameters", "source", "needs", "weights", "note"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add nothing: the verb has only the common options."""


def run(args: argparse.Namespace) -> None:
    project = open_project(args)
    catalog = project.models()
    rows = [
        [
            row.model,
            row.input,
            "unknown" if row.parameters is None else f"{row.parameters:,}",
            row.source,
            row.needs,
            _state(row),
            row.note,
        ]
        for row in catalog
    ]
    console.result(
        {"models": [row._asdict() for row in catalog]},
        [
            ResultTable(
                "models", ["model", "input", "parameters", "source", "needs", "weights", "note"], rows
            ),
            next_command(project, "train --model tcresnet"),
        ],
    )


def _state(row: CatalogRow) -> str:
    """Return `installed`, `folder`, `cached` or `missing`; empty for a model that needs no weights."""
    if row.weights is None:
        return "missing" if row.needs else ""
    if row.needs.startswith("kagglekit["):
        return "installed"
    return "folder" if row.weights == row.needs else "cached"
