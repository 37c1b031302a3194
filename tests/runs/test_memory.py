"""Running out of memory: the run is trained again with half the batch size, as another run."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
import torch
from support import tiny

from kagglekit.cli import main
from kagglekit.config.load import load_config
from kagglekit.data.prepare import Prepared, prepare
from kagglekit.errors import KagglekitError, MissingError
from kagglekit.files.atomic import read_json, write_json
from kagglekit.files.workspace import Workspace
from kagglekit.runs import memory
from kagglekit.runs.choose import best_runs
from kagglekit.runs.train import run_id, train_run
from kagglekit.terminal import console
from kagglekit.training.distributed import World
from kagglekit.training.files import META, METRICS, MOVED
from kagglekit.training.loop import Fold
from kagglekit.training.plan import Plan, resolve


@pytest.fixture
def prepared(tmp_path: Path) -> Prepared:
    """The tiny competition, fetched and prepared."""
    yaml = tiny.make(tmp_path)
    assert main(["--quiet", "-C", str(yaml), "fetch"]) == 0
    console.configure()
    return prepare(Workspace(load_config(yaml, ["jobs=1"])))


def plan_of(prepared: Prepared, batch_size: int) -> Plan:
    settings = {"train.batch_size": batch_size, "train.epochs": 1}
    return resolve(prepared.config, "tcresnet", settings)


class Memory:
    """A machine that trains folds in batches of up to `most` clips."""

    def __init__(self, most: int, error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
        self.most, self.error = most, error
        self.trained: list[tuple[int, int]] = []
        self.train_fold = memory.train_fold
        monkeypatch.setattr(memory, "train_fold", self)

    def __call__(self, fold: Fold, world: World) -> pl.DataFrame:
        """Train a fold, unless its batches are too large."""
        size = fold.plan.train.batch_size
        self.trained.append((fold.number, size))
        if size > self.most:
            raise self.error
        return self.train_fold(fold, world=world)


@pytest.mark.parametrize(
    "error",
    [
        torch.cuda.OutOfMemoryError("CUDA out of memory."),
        RuntimeError(
            "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"
        ),
        MemoryError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_run_out_of_memory_becomes_another_run(
    error: Exception,
    prepared: Prepared,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    machine = Memory(8, error, monkeypatch)
    plans = {size: plan_of(prepared, size) for size in (32, 16, 8)}
    identities = {size: run_id(prepared, plan) for size, plan in plans.items()}
    assert len(set(identities.values())) == 3
    run = train_run(prepared, plans[32])
    assert run.id == identities[8] and machine.trained == [(0, 32), (0, 16), (0, 8), (1, 8)]
    shown = capsys.readouterr().err
    assert "batches of 16 clips do not fit into memory: training another run with batches of 8 " in shown
    for number in (0, 1):
        meta = json.loads((run.folder / f"fold_{number}" / META).read_text())
        assert meta["train"]["batch_size"] == 8
    first = run.folder.with_name(identities[32])
    assert read_json(first / MOVED, bound=True)["batch_size"] == 16
    assert not (first / METRICS).exists() and [run.id for run in best_runs(prepared, ["runs"])] == [run.id]

    machine.trained.clear()
    again = train_run(prepared, plans[32])
    assert again.folder == run.folder and machine.trained == []
    shown = capsys.readouterr().err
    assert "batches of 32 clips do not fit" in shown and "(to try 32 again, remove " in shown


def test_folds_of_one_run_have_one_batch_size(prepared: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second fold runs out of memory: the first is trained again, too."""
    machine = Memory(32, MemoryError(), monkeypatch)
    plan, finished = plan_of(prepared, 16), machine.train_fold

    def short_in_fold_1(fold: Fold, world: World) -> pl.DataFrame:
        if fold.number == 1 and fold.plan.train.batch_size == 16:
            raise MemoryError
        return finished(fold, world=world)

    machine.train_fold = short_in_fold_1
    run = train_run(prepared, plan)
    assert machine.trained == [(0, 16), (1, 16), (0, 8), (1, 8)]
    sizes = [json.loads(p.read_text())["train"]["batch_size"] for p in run.folder.glob(f"fold_*/{META}")]
    assert sizes == [8, 8]
    (run.folder.with_name(run_id(prepared, plan)) / MOVED).unlink()
    machine.train_fold, machine.trained = finished, []
    larger = train_run(prepared, plan)  # goes on with the fold that fitted
    assert larger.id == run_id(prepared, plan) != run.id and machine.trained == [(1, 16)]


def test_a_fold_of_another_batch_size_is_trained_again(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As version 0.1 left them in a run that was short of memory and then killed."""
    run = train_run(prepared, plan_of(prepared, 16))
    (run.folder / METRICS).unlink()
    path = run.folder / "fold_1" / META
    meta = read_json(path, bound=True)
    meta["train"]["batch_size"] = 8
    write_json(path, meta, bound=True)
    machine = Memory(16, MemoryError(), monkeypatch)
    train_run(prepared, plan_of(prepared, 16))
    assert machine.trained == [(1, 16)]
    assert json.loads(path.read_text())["train"]["batch_size"] == 16


def test_less_memory_than_the_smallest_batch_needs(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    Memory(0, RuntimeError("CUDA error: out of memory"), monkeypatch)
    with pytest.raises(KagglekitError, match="out of memory with batches of 8 clips") as caught:
        train_run(prepared, plan_of(prepared, 16))
    assert str(caught.value.hint).startswith("choose a smaller tcresnet")
    Memory(0, RuntimeError("shapes differ"), monkeypatch)
    with pytest.raises(RuntimeError, match="shapes differ"):
        train_run(prepared, plan_of(prepared, 16))


def test_a_damaged_note(prepared: Prepared) -> None:
    plan = plan_of(prepared, 16)
    folder = prepared.workspace.runs / plan.model / run_id(prepared, plan)
    folder.mkdir(parents=True)
    (folder / MOVED).write_text("{")
    with pytest.raises(MissingError, match=r"moved\.json cannot be read"):
        train_run(prepared, plan)
