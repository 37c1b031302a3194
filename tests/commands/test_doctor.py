"""The doctor's findings on the screen."""

from __future__ import annotations

from pathlib import Path

from support.verbs import Run


def test_doctor(bare: Path, run: Run) -> None:
    done = run("doctor")
    assert done.code == 0
    assert done.err == (  # the tiny competition's file
        "competition.yaml is of the first edition; kagglekit init --upgrade competition.yaml rewrites it\n"
    )
    assert "ok    config       tiny on the host 'local'\n" in done.out
    assert all(
        f"ok    {name} " in done.out for name in ("rules", "deadline", "metric", "submissions", "disk")
    )


def test_doctor_without_a_config(tmp_path: Path, run: Run) -> None:
    done = run("--json", "doctor")
    checks = {check["name"]: check for check in done.data["checks"]}
    assert (done.code, done.data["ok"]) == (1, False)
    assert (checks["config"]["verdict"], checks["credential"]["verdict"]) == ("bad", "bad")
    assert done.err == "error: not ready: config, credential\nhint:  each says after -> what to do\n"
