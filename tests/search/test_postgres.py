"""One study in PostgreSQL for several machines: folders of their own, the database in common."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState
from support import postgres, tiny

from kagglekit.config.load import load_config
from kagglekit.data.prepare import prepare
from kagglekit.errors import KagglekitError
from kagglekit.files.workspace import Workspace
from kagglekit.hosts import open_host
from kagglekit.hosts.fetch import fetch
from kagglekit.search.locks import PostgresLocks, with_driver
from kagglekit.search.storage import close_storage
from kagglekit.search.tune import tune

BIN = postgres.bin_dir()
pytestmark = pytest.mark.skipif(BIN is None, reason="PostgreSQL is not installed: apt-get install postgresql")
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    assert BIN is not None
    with postgres.server(BIN) as found:
        yield found


@pytest.fixture
def machines(tmp_path: Path) -> list[Path]:
    """The same competition, prepared on two machines."""
    first = tiny.make(tmp_path / "a")
    config = load_config(first)
    workspace = Workspace(config)
    fetch(workspace, open_host(config, workspace.root))
    prepare(workspace)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    return [first, tmp_path / "b" / first.name]


def search(yaml: Path, address: str, *argv: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "kagglekit", "-C", str(yaml), "--quiet", "tune", "--model", "gru"]
    options = ["--no-train", "--storage", address, *argv]
    return subprocess.Popen([*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def trials(address: str) -> list[optuna.trial.FrozenTrial]:
    """Of the newest study."""
    storage = optuna.storages.RDBStorage(with_driver(address))
    try:
        studies = storage.get_all_studies()
        return storage.get_all_trials(studies[-1]._study_id) if studies else []
    finally:
        close_storage(storage)


def until(happened: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.05)


@pytest.mark.slow
def test_two_machines_one_killed_make_one_study(address: str, machines: list[Path]) -> None:
    options = ("--trials", "8", "--set", "search.epochs=6", "--set", "search.folds=2")
    first, second = (search(yaml, address, *options) for yaml in machines)
    running = [TrialState.RUNNING, TrialState.RUNNING]
    until(lambda: [t.state for t in trials(address) if t.state == TrialState.RUNNING] == running)
    until(lambda: any(t.intermediate_values for t in trials(address) if t.state == TrialState.RUNNING))
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    out, err = second.communicate(timeout=240)
    assert (second.returncode, err) == (0, "")
    found = trials(address)
    ended = [t for t in found if t.state in FINISHED]
    assert len(ended) == 8 and "gru: 8 trials" in out
    assert len({str(sorted(t.params.items())) for t in ended}) == 8
    (interrupted,) = [t for t in found if t.state == TrialState.FAIL]
    (again,) = [t for t in found if t.user_attrs.get("again") == interrupted.number]
    assert again.params == interrupted.params and again.state in FINISHED


def test_a_machine_with_other_data_is_refused(address: str, machines: list[Path]) -> None:
    settings = [f"search.storage={address}", "search.epochs=1", "competition.slug=other"]
    for yaml, more in ((machines[0], []), (machines[1], ["validation.seed=7"])):
        config = load_config(yaml, [*settings, *more])
        workspace = Workspace(config)
        prepared = prepare(workspace)
        if not more:
            tune(prepared, "gru", trials=1)
            continue
        with pytest.raises(KagglekitError, match=r"on different clips or folds \(\w+, here \w+\)") as caught:
            tune(prepared, "gru", trials=1)
        assert caught.value.hint is not None and "prepare the same data here" in caught.value.hint


def test_locks_end_with_their_connection(address: str) -> None:
    mine, theirs = PostgresLocks(address), PostgresLocks(address)
    with mine.hold("a name"):
        with theirs.hold("a name", wait=False) as free:
            assert not free
        with theirs.hold("another", wait=False) as free:
            assert free
    with theirs.hold("a name", wait=False) as free:
        assert free


def test_a_server_that_is_gone_is_explained(machines: list[Path]) -> None:
    child = search(machines[0], "postgresql://kagglekit:secret@127.0.0.1:1/postgres", "--trials", "1")
    out, err = child.communicate(timeout=60)
    assert (child.returncode, out) == (1, "")
    assert "error: search.storage cannot be opened: " in err and "refused" in err
    assert "hint:  start the database, or correct search.storage" in err
    assert "secret" not in err and "Traceback" not in err
