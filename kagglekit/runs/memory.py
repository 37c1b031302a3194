"""Run out of memory: the whole run is trained again with half the batch size, as another run.

The batch size is part of a run's id, so folds of different batch sizes never share a folder. The first run's
folder keeps a note, by which the same command finds the smaller run at once.
"""

from dataclasses import replace
from pathlib import Path

import torch
from pydantic import PositiveInt

from kagglekit.errors import KagglekitError, MissingError
from kagglekit.files.atomic import read_json, write_json
from kagglekit.files.json_shape import shaped
from kagglekit.runs.zero_shot import predict_fold
from kagglekit.terminal import console
from kagglekit.training.distributed import SINGLE, World
from kagglekit.training.files import MOVED
from kagglekit.training.loop import Fold, train_fold
from kagglekit.training.plan import Plan

LEAST_BATCH = 8  # clips; batch normalisation learns nothing from fewer


class OutOfMemory(KagglekitError):
    """A batch does not fit into memory."""


def train_within_memory(fold: Fold, world: World = SINGLE) -> None:
    """Train a fold.

    Raises:
        OutOfMemory: there is not the memory for its batches.
        KagglekitError: the loss is no longer finite.
    """
    try:
        if fold.plan.train.labels == "zero_shot":
            predict_fold(fold)
        else:
            train_fold(fold, world=world)
        return
    except (RuntimeError, MemoryError) as error:
        if not _out_of_memory(error):
            raise
    # Raised outside the except block, whose error keeps alive what filled the memory.
    raise OutOfMemory(
        f"out of memory with batches of {fold.plan.train.batch_size} clips",
        hint=f"choose a smaller {fold.plan.model}, or a machine with more memory",
    )


def _out_of_memory(error: Exception) -> bool:
    words = ("can't allocate memory", "not enough memory", "out of memory")
    return isinstance(error, MemoryError | torch.cuda.OutOfMemoryError) or any(w in str(error) for w in words)


def move(folder: Path, plan: Plan, error: OutOfMemory) -> None:
    """Note in a run's folder that a run with half the batch size replaces it.

    Raises `error` where that is less than LEAST_BATCH.
    """
    half = plan.train.batch_size // 2
    if half < LEAST_BATCH:
        raise error
    write_json(folder / MOVED, {"batch_size": half}, bound=True)


def moved(folder: Path, plan: Plan) -> Plan | None:
    """Return the plan that replaces the one of this run's folder; None where none does.

    Raises:
        MissingError: the note is damaged.
    """
    path, size = folder / MOVED, plan.train.batch_size
    if not path.is_file():
        return None
    try:
        note = read_json(path, bound=True)
        smaller = shaped(PositiveInt, note["batch_size"])
        bf16 = shaped(bool, note.get("bf16", plan.train.bf16))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise MissingError(f"{path} cannot be read", hint="remove it, and run the command again") from error
    if smaller == size and bf16 == plan.train.bf16:
        return None
    other = replace(plan, train=plan.train.model_copy(update={"batch_size": smaller, "bf16": bf16}))
    if smaller == size:  # trained on another machine, which has other precisions
        return other
    console.note(
        f"batches of {size} clips do not fit into memory: training another run with batches of {smaller} "
        f"(to try {size} again, remove {path})"
    )
    return other
