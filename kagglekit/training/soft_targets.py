"""What a student learns besides labels: test clips and soft targets, made for each fold apart.

A teaching is a folder that `kagglekit pseudo` or `kagglekit distill` made. It has a table a fold: clip_id,
split, row, part, label (the likeliest class) and targets (classes). A clip of the training data in it gets
these targets instead of its label; a test clip joins the training. What may stand in fold k's table is the
maker's business: see `kagglekit.distillation.pseudo_labels` and `kagglekit.distillation.distill`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import polars as pl
import torch
from torch import Tensor
from torch.nn import functional

from kagglekit.errors import MissingError
from kagglekit.files import tables
from kagglekit.files.atomic import done_key
from kagglekit.files.workspace import Workspace
from kagglekit.training.dataset import Head

FACTS = "teaching.json"
FIELDS = ("clip_id", "split", "row", "part", "label", "targets")


class Lesson(NamedTuple):
    """The clips that one fold learns from."""

    clips: pl.DataFrame
    targets: Tensor | None
    """(clips, outputs), rows adding up to 1, or each a yes or no where a clip has several labels; None: the
    labels alone."""


def folder_of(workspace: Workspace, key: str) -> Path:
    """Where a teaching lies."""
    return workspace.root / "teachings" / key


def table_path(folder: Path, fold: int) -> Path:
    """A fold's table."""
    return folder / f"fold_{fold}.parquet"


def find(workspace: Workspace, key: str) -> Path | None:
    """The folder of the teaching that a plan names; None: it names none.

    Raises:
        MissingError: it is not there, or was not finished.
    """
    if not key:
        return None
    folder = folder_of(workspace, key)
    if done_key(folder) != key:
        raise MissingError(
            f"there is no teaching {key} in {folder.parent}",
            hint="make it again: kagglekit pseudo, or kagglekit distill",
        )
    return folder


def shift_limit(folder: Path | None) -> float | None:
    """What `shift` is at most for those taught: their teachers', or none at all; None: nobody was taught.

    Raises:
        MissingError: the teaching is damaged.
    """
    if folder is None:
        return None
    try:
        shift = json.loads((folder / FACTS).read_text(encoding="utf-8"))["shift"]
        return min(float(shift), 0.0)
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise MissingError(
            f"{folder / FACTS} cannot be read", hint=f"remove {folder} and make it again"
        ) from error


def lesson(folder: Path | None, fold: int, clips: pl.DataFrame, head: Head) -> Lesson:
    """A fold's training clips with what the teaching adds.

    Args:
        folder: the teaching's; None: nothing is added.
        fold: whose training it is.
        clips: training rows of the clips table.
        head: the outputs of the student.

    Raises:
        MissingError: the fold's table is damaged.
    """
    if folder is None:
        return Lesson(clips, head.hot(clips))
    taught = tables.read(table_path(folder, fold), f"remove {folder} and make it again")
    own = functional.one_hot(head.targets(clips), len(head.outputs)).float()
    known = clips.select("clip_id").with_row_index("at").join(taught, on="clip_id", maintain_order="left")
    if len(known):
        own[torch.from_numpy(known["at"].to_numpy().astype("int64"))] = spread(known, head)
    extra = taught.filter(~pl.col("clip_id").is_in(clips["clip_id"].implode()))
    if extra.is_empty():
        return Lesson(clips, own)
    both = pl.concat([clips, extra.drop("targets")], how="diagonal_relaxed")
    return Lesson(both, torch.cat([own, spread(extra, head)]))


def spread(taught: pl.DataFrame, head: Head) -> Tensor:
    """Targets by class -> targets by output, (clips, outputs): a class speaks through the output of its own
    name or, where outputs are words, filler through that of a word which is none of them."""
    by_class = torch.from_numpy(taught["targets"].to_numpy().copy())
    by_output = torch.zeros(len(taught), len(head.outputs))
    for index, name in enumerate(head.classes):
        output = head.outputs.index(name) if name in head.outputs else head.class_of.index(index)
        if index == len(head.classes) - 1 and head.double is not None:
            output = head.double
        by_output[:, output] += by_class[:, index]
    return by_output
