"""Train the folds of a run: in turn, side by side in processes, or each by several processes together."""

from collections.abc import Sequence
from pathlib import Path

from kagglekit.config import Config
from kagglekit.data.prepare import prepare
from kagglekit.errors import ConfigError
from kagglekit.files.leftovers import temporary_folder
from kagglekit.files.locks import locked
from kagglekit.files.workspace import Workspace
from kagglekit.parallel.children import NoProcessError
from kagglekit.parallel.processes import cores, run_all
from kagglekit.runs.memory import train_within_memory
from kagglekit.runs.setup import make_folds
from kagglekit.runs.store import read_meta
from kagglekit.terminal import console, progress
from kagglekit.training.distributed import joined
from kagglekit.training.loop import Fold, is_trained, show_epoch
from kagglekit.training.plan import Plan
from kagglekit.training.predict import device

WORTH_A_PROCESS = 1500  # steps over all folds: starting processes takes as long as a few hundred


def train_folds(folds: Sequence[Fold]) -> None:
    """Train the folds of a run that are not trained yet, side by side where that is faster.

    Raises:
        OutOfMemory: there is not the memory for the plan's batches.
        KagglekitError: the loss is no longer finite.
    """
    left = [fold for fold in folds if not is_trained(fold)]
    for fold in folds:
        if fold not in left and (history := read_meta(fold.folder)["history"]):
            show_epoch(history, fold.plan.train.epochs)
    world_size, train = folds[0].config.processes, folds[0].plan.train
    if world_size > 1 and train.labels != "zero_shot" and train.optimizer != "lbfgs":
        train_together(left, world_size)
    elif (processes := processes_for(left)) > 1:
        jobs = [(fold.config, fold.plan, fold.number, fold.folder.parent) for fold in left]
        try:
            run_all(_train_apart, jobs, processes)
        except NoProcessError as error:
            if folds[0].config.jobs != "auto":
                raise
            console.note(f"{error}: training one fold after the other")
            train_in_turn(left)
    else:
        train_in_turn(left)


def train_in_turn(folds: Sequence[Fold]) -> None:
    """Train folds one after the other in this process."""
    for fold in folds:
        train_within_memory(fold)


def train_together(folds: Sequence[Fold], size: int) -> None:
    """Train folds one after the other, each with `size` processes that share its batches.

    Raises:
        ConfigError: a batch, or the machine, is too small for so many processes.
        KagglekitError: as train_folds.
    """
    if not folds:
        return
    first = folds[0]
    if size > cores() or first.plan.train.batch_size < 2 * size:
        raise ConfigError(
            f"processes is {size}, with {cores()} cores and {first.plan.train.batch_size} clips in a batch",
            hint="use at most one process per core, and at least two clips of a batch for each",
        )
    numbers = [fold.number for fold in folds]
    with temporary_folder() as folder:
        run_all(
            _train_shard,
            [
                (first.config, first.plan, numbers, first.folder.parent, rank, size, folder / "meeting")
                for rank in range(size)
            ],
            size,
        )


def _train_shard(job: tuple[Config, Plan, list[int], Path, int, int, Path]) -> None:
    """Train each fold in turn, as one of several processes."""
    config, plan, numbers, folder, rank, size, meeting = job
    if rank:
        progress.send_to(lambda message: None)  # only the main process shows its bars
    folds = make_folds(prepare(Workspace(config)), plan, folder, numbers)
    with joined(rank, size, meeting) as world:
        for fold in folds:
            train_within_memory(fold, world)


def processes_for(folds: Sequence[Fold]) -> int:
    """Return how many folds to train side by side, by Config.jobs."""
    if not folds:
        return 1
    first = folds[0]
    if first.config.jobs != "auto":
        return min(first.config.jobs, len(folds))
    steps = first.plan.train.epochs * len(first.dataset.clips) // first.plan.train.batch_size
    short = steps * len(folds) < WORTH_A_PROCESS or first.plan.train.labels == "zero_shot"
    short |= first.plan.train.optimizer == "lbfgs"
    # Networks that take waveforms need the memory of several.
    if short or first.dataset.takes_waveforms or device().type != "cpu":
        return 1
    return min(cores(), len(folds))


def _train_apart(job: tuple[Config, Plan, int, Path]) -> None:
    """Train one fold in a process of its own, which is handed no more than names."""
    config, plan, number, folder = job
    (fold,) = make_folds(prepare(Workspace(config)), plan, folder, [number])
    with locked(fold.folder, f"fold {number}"):  # the process of a parent just killed may still be ending
        train_within_memory(fold)
