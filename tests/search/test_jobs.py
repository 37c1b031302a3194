"""Search with several processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from optuna.trial import TrialState
from support.searches import Place, open_place

from kagglekit.errors import ConfigError


@pytest.mark.skipif(len(getattr(os, "sched_getaffinity", lambda _: {0})(0)) < 2, reason="needs two cores")
def test_two_jobs_make_one_study(yaml: Path) -> None:
    place = open_place(yaml, "search.epochs=1")
    outcome = place.tune(4, jobs=2)
    trials = place.trials()
    assert outcome.trials == len(trials) == 4
    assert {trial.state for trial in trials} <= {TrialState.COMPLETE, TrialState.PRUNED}
    assert len({str(trial.params) for trial in trials}) == 4
    assert trials[0].params == place.recipe()


@pytest.mark.slow
@pytest.mark.skipif(len(getattr(os, "sched_getaffinity", lambda _: {0})(0)) < 2, reason="needs two cores")
def test_another_process_takes_the_place_of_a_killed_one(yaml: Path) -> None:
    place = open_place(yaml, "search.epochs=30")
    command = [sys.executable, "-m", "kagglekit", "-C", str(yaml), "--set", "search.epochs=30", "tune"]
    options = ["--model", "gru", "--trials", "4", "--jobs", "2", "--no-train"]
    child = subprocess.Popen([*command, *options], stderr=subprocess.PIPE, text=True)
    try:
        while child.poll() is None:  # until both are at work
            running = [t for t in place.trials() if t.state == TrialState.RUNNING and t.intermediate_values]
            if len(running) == 2:
                break
            time.sleep(0.1)
        tasks = Path(f"/proc/{child.pid}/task/{child.pid}/children")
        workers = [
            int(pid)
            for pid in tasks.read_text().split()
            if "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()
        ]
        os.kill(workers[0], signal.SIGKILL)
    finally:
        said = child.communicate(timeout=300)[1]
    assert child.returncode == 0, said
    assert "a process was killed by signal 9, perhaps because memory ran out; starting another" in said
    trials = place.trials()
    ended = [t for t in trials if t.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    assert len(ended) == len({str(trial.params) for trial in ended}) == 4
    assert sum(trial.state == TrialState.FAIL for trial in trials) == 1  # and its parameters were tried again


def test_more_jobs_than_cores_are_refused(place: Place) -> None:
    with pytest.raises(ConfigError, match="--jobs 1000: this machine has"):
        place.tune(1, jobs=1000)
