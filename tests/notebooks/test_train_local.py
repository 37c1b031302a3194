"""A training in a local host's sandbox: the notebook installs itself, trains, and its runs come back."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import tiny

import kagglekit
from kagglekit.cli import main
from kagglekit.notebooks.folder import read_built


@pytest.mark.slow
def test_a_local_host_trains_and_the_runs_come_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    yaml = str(tiny.make(tmp_path, speakers=4))
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels/nothing-1-py3-none-any.whl").touch()
    assert main(["--quiet", "-C", yaml, "fetch"]) == 0
    command = ["-C", yaml, "--set", "train.epochs=2", "notebook", "train", "--model", "gru"]
    command += ["--wheels", str(tmp_path / "wheels")]
    assert main(command) == 1  # nobody says yes
    shown = capsys.readouterr()
    assert "not pushed\nhint: " in shown.err and "internet off" in shown.out
    assert main([*command, "--yes"]) == 0, capsys.readouterr().err
    assert "gru/" in capsys.readouterr().out
    project = kagglekit.open(yaml, "train.epochs=2")
    (run,) = project.train("gru")  # which is here
    assert run.metrics["origin"] == "local:tiny: you/kagglekit-train-tiny v1"
    assert len(project.ensemble("gru").test) == 24
    (built,) = (tmp_path / ".kagglekit/trainings").glob("*/build.json")
    record = read_built(built.parent).record
    assert record.blend == "gru" and record.bytes < 5e6
