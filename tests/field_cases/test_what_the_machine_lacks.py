"""Machines without a home, shared memory or file locks, and credentials that are none."""

from __future__ import annotations

import contextlib
import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.field_case import FieldCase

ELSEWHERE = "name a folder that can be written to: "


@contextlib.contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Mount a folder on itself, read-only."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("needs root on Linux, to mount a folder read-only")
    commands = [["--bind", folder, folder], ["-o", "remount,bind,ro", folder]]
    for command in commands:
        if subprocess.run(["mount", *map(str, command)], check=False, capture_output=True).returncode:
            pytest.skip("this container does not let root mount")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_no_home(case: FieldCase, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(user: object) -> None:
        raise KeyError(f"getpwuid(): uid not found: {user}")

    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    for verb in ("fetch", "prepare", "train --model tcresnet", "doctor"):
        case.good(*verb.split())
    kaggle = ("-C", "kaggle.yaml", "--set", "network.tries=1")
    shown = case.bad(*kaggle, "doctor")
    assert "there is no home folder to look for a credential in: HOME is not set" in shown.out
    assert "set KAGGLE_API_TOKEN to a token" in shown.out
    shown = case.bad(*kaggle, "fetch")
    assert "there is no home folder" in shown.message and "set KAGGLE_API_TOKEN to a token" in shown.hint
    monkeypatch.setenv("KAGGLE_API_TOKEN", "made-up")
    assert "access token in KAGGLE_API_TOKEN" in case.kk(*kaggle, "doctor").out
    assert not list(case.folder.rglob("~"))


@pytest.mark.slow
def test_no_dev_shm(case: FieldCase) -> None:
    case.good("fetch")
    case.good("prepare")
    stub = {"PYTHONPATH": f"{case.folder / 'stub'}:{os.environ['PYTHONPATH']}"}
    together = ("train", "--model", "tcresnet", "--set", "jobs=2")
    assert case.apart(*together, env={**stub, "SHM_ERRNO": "28"}).code == 0
    search = ("tune", "--model", "tcresnet", "--no-train", "--jobs", "2", "--trials", "2")
    assert case.apart(*search, env={**stub, "SHM_ERRNO": "38"}).code == 0


@pytest.mark.slow
def test_no_flock_and_a_kill(case: FieldCase) -> None:
    env = {"PYTHONPATH": f"{case.folder / 'stub'}:{os.environ['PYTHONPATH']}"}
    note = "this file system has no file locks (flock)"
    for verb in ("fetch", "prepare"):
        shown = case.apart(verb, env=env)
        assert shown.code == 0 and shown.err.count(note) == 1 and "Warning" not in shown.err, shown.err
    training = [
        sys.executable,
        "-m",
        "kagglekit",
        "train",
        "--model",
        "tcresnet",
        "--set",
        "train.epochs=300",
    ]
    with subprocess.Popen(
        training, cwd=case.folder, env={**os.environ, **env}, stderr=subprocess.DEVNULL
    ) as child:
        while not list(case.folder.glob(".kagglekit/runs/*/*/fold_*/last.safetensors")):
            assert child.poll() is None
            time.sleep(0.05)
        child.send_signal(signal.SIGKILL)
    shown = case.apart(*training[3:], env=env, timeout=120)
    assert shown.code == 0 and "resuming after epoch" in shown.err and "Warning" not in shown.err, shown.err
    assert case.apart("prepare", "--set", "validation.seed=1", env=env, timeout=60).code == 0


def test_somebody_elses_workspace(case: FieldCase) -> None:
    for verb in ("fetch", "prepare", "train --model tcresnet", "submit --ensemble tcresnet --upload --yes"):
        case.good(*verb.split())
    score, out = case.good("--json", "cv").out, case.folder.with_name("report.html")
    for path in case.folder.rglob("*"):  # as after a copy
        os.utime(path, (1e9, 1e9))
    with read_only(case.folder):
        assert case.good("--json", "cv").out == score
        for verb in (
            "leaderboard",
            "ensemble",
            "predict --model tcresnet word.wav",
            f"report --out {out}",
            "doctor",
        ):
            case.good(*verb.split())
        assert out.stat().st_size > 100_000
        assert "warn  folders" in case.shown[-1].out
        for verb in ("train", "train --set train.seed=1"):
            shown = case.bad(*verb.split(), "--model", "tcresnet")
            assert shown.message == ".kagglekit cannot be written to: Read-only file system"
            assert shown.hint == f"{ELSEWHERE}--set workspace=FOLDER --set submissions=FOLDER"
        shown = case.bad("submit", "--ensemble", "tcresnet")
        assert shown.message == "submissions cannot be written to: Read-only file system"
        assert "--set submissions=FOLDER" in shown.hint
        for verb in ("fetch", "prepare"):
            case.good(verb, "--set", f"workspace={case.folder.with_name('elsewhere')}")


def test_config_among_the_inputs(case: FieldCase, tmp_path: Path) -> None:
    own = FieldCase(case.name, tmp_path / "own", case.shown)
    own.folder.mkdir()
    yaml = ("-C", str(case.folder / "competition.yaml"))
    elsewhere = [f"workspace={own.folder / 'ws'}", f"submissions={own.folder / 'sent'}"]
    ws, sent = (("--set", one) for one in elsewhere)
    with read_only(case.folder):
        shown = own.bad(*yaml, "fetch")
        assert "/.kagglekit cannot be made: Read-only file system" in shown.message
        assert shown.hint == f"{ELSEWHERE}--set workspace=FOLDER --set submissions=FOLDER"
        shown = own.bad(*yaml, "doctor")
        assert "bad   folders" in shown.out and "--set workspace=FOLDER" in shown.out
        for verb in ("fetch", "prepare", "train --model tcresnet"):
            own.good(*yaml, *verb.split(), *ws)
        shown = own.bad(*yaml, "submit", "--ensemble", "tcresnet", *ws)
        assert "submissions cannot be made" in shown.message
        assert shown.hint == f"{ELSEWHERE}--set submissions=FOLDER"
        for verb in ("submit --ensemble tcresnet --upload --yes", "leaderboard", "report"):
            own.good(*yaml, *verb.split(), *ws, *sent)


def test_kaggle_json_that_is_none(case: FieldCase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    for home, words in {
        "bom": "byte order mark",
        "config": "username",
        "html": "not JSON",
        "bare": "not JSON",
        "folder": "folder",
        "env": "KAGGLE_KEY",
    }.items():
        monkeypatch.setenv("HOME", str(case.folder / "homes" / home))
        if home == "env":
            monkeypatch.setenv("KAGGLE_USERNAME", "somebody")
        for verb in ("doctor", "fetch"):
            done = case.kk(verb, "--set", "network.tries=1")
            shown = done.out + done.err
            assert done.code == 1 and words in shown, shown
            assert home == "env" or "kaggle.json" in shown
            assert "none found" not in shown and "there is no credential" not in shown
            assert "pip install kaggle" not in shown and "0000000000" not in shown
