"""Damaged inputs of every kind are explained: the first ones of support/fuzz, or with `-m slow` 20,000."""

from __future__ import annotations

import subprocess
import sys

import pytest
from support.places import ROOT


def faults(count: int, *options: str) -> str:
    """Try inputs in a process that has no threads yet, as it forks; return what it says of faults."""
    command = [sys.executable, "-m", "support.fuzz", str(count), *options]
    path = {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, cwd=ROOT, env=path, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout[-8000:] + done.stderr[-8000:]


def test_some_inputs() -> None:
    assert faults(300, "--kinds", "yaml,set,archive,table,audio") == ""


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_many_inputs() -> None:
    assert faults(20_000, "--seed", "1") == ""
