"""Soft targets: class probabilities that a student trains on, made separately for each fold.

`kagglekit pseudo` and `kagglekit distill` make a folder with one table per fold: clip_id, split, row (and
windows), part, label (the likeliest class, or all that are likely), masked (classes without a loss) and
targets (classes). A training clip in it gets these targets instead of its label; a test clip joins the
training. kagglekit.distillation decides which clips fold k's table may hold.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import torch
from torch import Tensor
from torch.nn import functional

from kagglekit.errors import MissingError
from kagglekit.files import parquet
from kagglekit.files.atomic import done_key, read_json, write_json
from kagglekit.files.blocks import CheckedFile
from kagglekit.files.json_shape import shaped
from kagglekit.files.workspace import Workspace
from kagglekit.scoring.task import Task
from kagglekit.training.head import Head
from kagglekit.training.loss_weights import LossWeights, loss_weights

FACTS = "facts.json"
FIELDS = ("clip_id", "split", "row", "part", "label", "masked", "targets")


class TrainingSet(NamedTuple):
    """The clips that one fold trains on."""

    clips: pl.DataFrame
    targets: Tensor | None
    """(clips, outputs): rows that sum to 1, or each 0 to 1 where a clip may have several labels; None to use
    the labels alone."""
    weights: LossWeights | None = None
    """Weights of the loss; None: all clips weigh alike, and every class is known."""


def folder_of(workspace: Workspace, key: str) -> Path:
    """Return the folder of soft targets."""
    return workspace.root / "soft_targets" / key


def table_path(folder: Path, fold: int) -> Path:
    """Return the path of a fold's table."""
    return folder / f"fold_{fold}.parquet"


def find(workspace: Workspace, key: str) -> Path | None:
    """Return the folder of the soft targets that a plan names, or None if it names none.

    Raises:
        MissingError: it is absent or unfinished.
    """
    if not key:
        return None
    folder = folder_of(workspace, key)
    if done_key(folder) != key:
        raise MissingError(
            f"there are no soft targets {key} in {folder.parent}",
            hint="make them again: kagglekit pseudo, or kagglekit distill",
        )
    return folder


def write_facts(folder: Path, kind: str, shifts: Mapping[str, float], facts: Mapping[str, Any]) -> None:
    """Write the ids of the teachers' runs, the mean of their test shifts (by run id), and other facts."""
    shift = sum(shifts.values()) / len(shifts)
    write_json(folder / FACTS, {"kind": kind, "runs": [*shifts], "shift": shift, **facts})


def shift_limit(folder: Path | None) -> float | None:
    """Return the upper limit of a student's test shift: its teachers' shift, at most 0. None: no teachers.

    Raises:
        MissingError: the folder is damaged.
    """
    if folder is None:
        return None
    try:
        return min(shaped(float, read_json(folder / FACTS)["shift"]), 0.0)
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise MissingError(
            f"{folder / FACTS} cannot be read", hint=f"remove {folder} and make it again"
        ) from error


def training_set(
    folder: Path | None, fold: int, clips: pl.DataFrame, head: Head, task: Task, class_weight: float = 0
) -> TrainingSet:
    """Join a fold's training clips with its soft targets.

    Args:
        folder: of the soft targets; None for none.
        fold: the fold that is left out.
        class_weight: setting of train.

    Raises:
        KagglekitError: the fold's table is damaged.
    """
    if folder is None:
        targets = label_targets(clips, task) if task.multi else None
        counted = _one_hot(clips, head) if targets is None and class_weight else targets
        return TrainingSet(clips, targets, loss_weights(clips, task, counted, class_weight))
    path = table_path(folder, fold)
    soft = parquet.read(path, f"remove {folder} and make it again")
    CheckedFile(path).check()  # that it is this fold's
    targets = label_targets(clips, task) if task.multi else _one_hot(clips, head)
    key = ["split", "clip_id"]  # a row of the test may have the name of a training clip
    labelled = clips.select(key).with_row_index("at").join(soft, on=key, maintain_order="left")
    if len(labelled):
        targets[torch.from_numpy(labelled["at"].to_numpy().astype("int64"))] = spread(labelled, head)
    if task.multi:  # the teachers say of which classes there is no loss; of auxiliary ones they know nothing
        silent = pl.concat_str("masked", *map(pl.lit, task.auxiliary), separator=task.separator or "|")
        soft = soft.with_columns(masked=silent) if task.auxiliary else soft
        taught = soft.select(*key, _taught="masked")
        clips = clips.join(taught, on=key, how="left", maintain_order="left")
        clips = clips.with_columns(masked=pl.coalesce("_taught", "masked")).drop("_taught")
    extra = soft.join(clips.select(key), on=key, how="anti", maintain_order="left")
    if not extra.is_empty():
        clips = pl.concat([clips, extra.drop("targets")], how="diagonal_relaxed")
        targets = torch.cat([targets, spread(extra, head)])
    return TrainingSet(clips, targets, loss_weights(clips, task, targets, class_weight))


def _one_hot(clips: pl.DataFrame, head: Head) -> Tensor:
    """Return the targets of clips with one label each, (clips, outputs)."""
    return functional.one_hot(head.targets(clips), len(head.outputs)).float()


def label_targets(clips: pl.DataFrame, task: Task) -> Tensor:
    """Return the targets of clips by their labels alone, (clips, learnt): secondary ones are soft."""
    hot = torch.from_numpy(task.learnt_truth(clips)).float()
    soft = task.learnt_named(clips, "soft")
    if not soft.any():
        return hot
    target = torch.from_numpy(clips["soft_target"].to_numpy().astype("float32"))[:, None]
    return torch.maximum(hot, torch.from_numpy(soft) * target)


def spread(soft: pl.DataFrame, head: Head) -> Tensor:
    """Map targets by class to targets by output, (clips, classes) -> (clips, outputs).

    A class goes to the output of the same name; where outputs are words, filler goes to DOUBLE.
    """
    by_class = torch.from_numpy(soft["targets"].to_numpy().copy())
    by_output = torch.zeros(len(soft), len(head.outputs))
    for index, name in enumerate(head.classes):
        output = head.outputs.index(name) if name in head.outputs else head.class_of.index(index)
        if index == len(head.classes) - 1 and head.double is not None:
            output = head.double
        by_output[:, output] += by_class[:, index]
    return by_output
