from __future__ import annotations

import _multiprocessing as multiprocessing
import errno
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support import tiny
from support.jobs import dies, fails, told

from kagglekit.config.load import load_config
from kagglekit.data.prepare import prepare
from kagglekit.errors import KagglekitError
from kagglekit.files import parquet
from kagglekit.files.workspace import Workspace
from kagglekit.hosts import open_host
from kagglekit.hosts.fetch import fetch
from kagglekit.parallel import processes
from kagglekit.parallel.children import NoProcessError
from kagglekit.parallel.processes import cores, run_all
from kagglekit.runs import folds
from kagglekit.runs.folds import processes_for
from kagglekit.runs.setup import head_for, make_dataset
from kagglekit.runs.train import train_run
from kagglekit.scoring.predictions import logits_of
from kagglekit.terminal import console
from kagglekit.training.loop import Fold
from kagglekit.training.plan import resolve, with_epochs
from kagglekit.training.predict import threads


def test_results_come_in_order_and_what_is_shown_is_shown_here(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multiprocessing, "SemLock", None)  # as without /dev/shm
    console.configure()
    results = run_all(told, [3, 1, 2], 2)
    assert [job for job, _, _ in results] == [3, 1, 2]
    assert {threads for _, threads, _ in results} == {str(max(cores() // 2, 1))}
    assert os.getpid() not in {process for _, _, process in results}
    shown = capsys.readouterr().err
    for job in (1, 2, 3):
        assert f"job {job} begins\n" in shown
        assert f"job {job}: 2 clips in" in shown
    assert shown.count("done") == 3


def test_the_first_failure_ends_all_of_them() -> None:
    started = time.monotonic()
    with pytest.raises(KagglekitError, match="job 0 cannot be") as caught:
        run_all(fails, [0, 1, 2], 2)
    assert caught.value.hint == "leave it out"
    assert time.monotonic() - started < 50  # job 1 sleeps for 60 s


def test_a_killed_process_is_reported() -> None:
    with pytest.raises(
        KagglekitError, match="a process was killed by signal 9, perhaps because memory ran out"
    ) as caught:
        run_all(dies, [0, 1], 2)
    assert caught.value.hint == "run the same command again with --set jobs=1"


ORPHANS = """
import os, sys, time
from kagglekit.parallel.processes import run_all

def sleeper(path):
    open(path, "w").write(str(os.getpid()))
    time.sleep(120)

if __name__ == "__main__":
    run_all(sleeper, sys.argv[1:], 2)
"""


def test_no_process_outlives_its_parent(tmp_path: Path) -> None:
    script, marks = tmp_path / "parent.py", [tmp_path / "a", tmp_path / "b"]
    script.write_text(ORPHANS, encoding="utf-8")
    with subprocess.Popen([sys.executable, str(script), *map(str, marks)]) as parent:
        until(lambda: all(mark.is_file() and mark.read_text() for mark in marks))
        parent.kill()
    until(lambda: not any(alive(int(mark.read_text())) for mark in marks))


def until(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + 100
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """Whether the process runs; one that has ended may wait for somebody to ask of it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_folds_are_trained_in_turn_where_no_process_can_be_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr("multiprocessing.context.SpawnProcess.start", refuse)
    with pytest.raises(NoProcessError, match="no other process can be started: Resource temp") as caught:
        run_all(dies, [0, 1], 2)
    assert "--set jobs=1" in (caught.value.hint or "")
    monkeypatch.setattr(folds, "processes_for", lambda left: 2)
    trained: list[Fold] = []
    monkeypatch.setattr(folds, "train_within_memory", trained.append)
    config = load_config(tiny.make(tmp_path))
    left = [Fold(config, resolve(config, "gru"), None, None, n, tmp_path) for n in range(2)]  # type: ignore[arg-type]
    folds.train_folds(left)
    assert trained == left


@pytest.mark.parametrize(
    ("quota", "expected"), [("max 100000", None), ("100000 100000", 1), ("50000 100000", 1), ("", None)]
)
def test_cores_of_a_container(
    quota: str, expected: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpu.max").write_text(quota + "\n", encoding="ascii")
    monkeypatch.setattr(processes, "CPU_QUOTA", tmp_path / "cpu.max")
    assert cores() == (expected or len(os.sched_getaffinity(0)))


def test_folds_side_by_side_are_the_folds_one_after_the_other(tmp_path: Path) -> None:
    oof = []
    for jobs in (1, 2):
        config = load_config(
            tiny.make(tmp_path / str(jobs)), [f"jobs={jobs}", "train.bf16=false", "train.epochs=3"]
        )
        workspace = Workspace(config)
        fetch(workspace, open_host(config, workspace.root))
        prepared, plan = prepare(workspace), resolve(config, "tcresnet")
        # as many threads as each of two processes has: the order of a float32 sum depends on it
        with threads(cores() // 2):
            run = train_run(prepared, plan)
        oof.append(parquet.read(run.folder / "oof.parquet", "", bound=True).sort("clip_id"))
    assert oof[0]["clip_id"].equals(oof[1]["clip_id"])
    np.testing.assert_allclose(logits_of(oof[0]), logits_of(oof[1]), atol=1e-4)


def test_a_short_training_is_not_worth_a_process(tmp_path: Path) -> None:
    config = load_config(tiny.make(tmp_path))
    workspace = Workspace(config)
    fetch(workspace, open_host(config, workspace.root))
    prepared, plan = prepare(workspace), resolve(config, "tcresnet")
    dataset, head = make_dataset(prepared, plan), head_for(prepared, plan)

    def folds(epochs: int) -> list[Fold]:
        return [Fold(config, with_epochs(plan, epochs), dataset, head, n, tmp_path) for n in range(2)]

    assert processes_for([]) == 1
    assert processes_for(folds(3)) == 1
    assert processes_for(folds(10_000)) == min(cores(), 2)
