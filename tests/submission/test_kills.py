"""A kill or Ctrl-C anywhere, and two processes at once: the same command then ends as if nothing had been."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import polars as pl
import pytest
from support import tiny
from support.suicide import killed

from kagglekit.cli import main

slow = pytest.mark.slow  # the more kills, the longer it takes: by default one or two in each stage


def kagglekit(yaml: Path, *argv: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "kagglekit", "--quiet", "-C", str(yaml), *argv]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def done(yaml: Path, *argv: str) -> str:
    """Run to the end, in this process; what it wrote on stdout."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main(["--quiet", "-C", str(yaml), *argv])
    assert (code, err.getvalue()) == (0, "")
    return out.getvalue()


def until(happened: Callable[[], object], child: subprocess.Popen[str], seconds: float = 200) -> None:
    """Wait for something that `child` does."""
    end = time.monotonic() + seconds
    while not happened():
        assert child.poll() is None, "it ended too early"
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.005)


def kill_when(happened: Callable[[], object], child: subprocess.Popen[str]) -> None:
    with child:
        until(happened, child)
        os.kill(child.pid, signal.SIGKILL)
    assert child.returncode == -signal.SIGKILL


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*.part")]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """fetch, train and a submission, never interrupted; to be copied, not changed."""
    yaml = tiny.make(tmp_path_factory.mktemp("undisturbed"))
    done(yaml, "fetch")
    done(yaml, "train", "--model", "gru")
    done(yaml, "submit", "--ensemble", "gru")
    return yaml


@pytest.fixture
def fresh(undisturbed: Path, tmp_path: Path) -> Path:
    """The same competition, of which nothing is fetched."""
    shutil.copytree(undisturbed.parent / "host", tmp_path / "fresh/host")
    shutil.copy2(undisturbed, tmp_path / "fresh")
    return tmp_path / "fresh" / undisturbed.name


def copy_of(undisturbed: Path, tmp_path: Path, *without: str) -> Path:
    """The workspace at an earlier stage."""
    shutil.copytree(undisturbed.parent, tmp_path / "copy", ignore=shutil.ignore_patterns(*without))
    return tmp_path / "copy" / undisturbed.name


def raw_equal(yaml: Path) -> bool:
    raw = yaml.parent / ".kagglekit/raw"
    names = ("train.zip", "test.zip", "sample_submission.csv")
    return all((raw / name).read_bytes() == (yaml.parent / "host" / name).read_bytes() for name in names)


def clips(yaml: Path) -> pl.DataFrame:
    return pl.read_parquet(yaml.parent / ".kagglekit/clips.parquet")


def run_tables(yaml: Path) -> list[pl.DataFrame]:
    """OOF and test logits of the one run."""
    (run,) = yaml.parent.glob(".kagglekit/runs/gru/*/metrics.json")
    return [pl.read_parquet(run.parent / name) for name in ("oof.parquet", "test.parquet")]


def assert_same_run(yaml: Path, other: Path) -> None:
    for mine, theirs in zip(run_tables(yaml), run_tables(other), strict=True):
        assert mine.equals(theirs)


# --- SIGKILL ---


@pytest.mark.parametrize(
    "point",
    [
        "os.rename:*/raw/train.zip",
        pytest.param("os.rename:*/raw/test.zip", marks=slow),
        "os.rename:*/.kagglekit/fingerprints.json",
    ],
)
def test_fetch(point: str, fresh: Path) -> None:
    killed(fresh, point, "fetch")
    assert not Path(fresh.parent, ".kagglekit/raw", Path(point).name).exists()  # whole or not at all
    done(fresh, "fetch")
    assert raw_equal(fresh) and leftovers(fresh.parent) == []


@pytest.mark.parametrize(
    "point",
    [
        "os.rename:*/noise/data-00000-of-00001.arrow",
        pytest.param("os.rename:*/store/data-00000-of-00001.arrow", marks=slow),
        "os.rename:*/audio/silence-{silence}",
        pytest.param("os.rename:*/clips.parquet", marks=slow),
        "os.rename:*/clips.json",
    ],
)
def test_prepare(point: str, undisturbed: Path, tmp_path: Path) -> None:
    (silence,) = undisturbed.parent.glob(".kagglekit/audio/silence-*/")
    yaml = copy_of(undisturbed, tmp_path, "audio", "clips.*", "features", "runs")
    killed(yaml, point.format(silence=silence.name.removeprefix("silence-")), "prepare")
    done(yaml, "prepare")
    assert clips(yaml).equals(clips(undisturbed))
    assert leftovers(yaml.parent) == []
    for store in undisturbed.parent.glob(".kagglekit/audio/*/store/*.arrow"):
        assert (yaml.parent / store.relative_to(undisturbed.parent)).read_bytes() == store.read_bytes()


def test_features(undisturbed: Path, tmp_path: Path) -> None:
    caches = sorted(undisturbed.parent.glob(".kagglekit/features/*/log_mel.npy"))
    yaml = copy_of(undisturbed, tmp_path, "features", "runs")
    killed(yaml, f"os.rename:*/features/{caches[0].parent.name}", "features")
    assert not (yaml.parent / ".kagglekit/features" / caches[0].parent.name).exists()
    done(yaml, "features")
    for path in caches:
        assert (yaml.parent / path.relative_to(undisturbed.parent)).read_bytes() == path.read_bytes()
    assert leftovers(yaml.parent) == [] and len(caches) == 3


@pytest.mark.parametrize("fold", [pytest.param("fold_0", marks=slow), "fold_1"])
def test_train(fold: str, undisturbed: Path, tmp_path: Path) -> None:
    yaml = copy_of(undisturbed, tmp_path, "runs")
    runs = yaml.parent / ".kagglekit/runs/gru"
    kill_when(lambda: [*runs.glob(f"*/{fold}/last.safetensors")], kagglekit(yaml, "train", "--model", "gru"))
    assert not list(runs.glob("*/metrics.json"))
    done(yaml, "train", "--model", "gru")
    assert_same_run(yaml, undisturbed)
    assert leftovers(yaml.parent) == []


@pytest.mark.parametrize(
    "point",
    ["os.rename:*/fold_0/model.safetensors", "os.rename:*/fold_1/meta.json", "os.rename:*/metrics.json"],
)
@slow
def test_train_between_files(point: str, undisturbed: Path, tmp_path: Path) -> None:
    yaml = copy_of(undisturbed, tmp_path, "runs")
    killed(yaml, point, "train", "--model", "gru")
    assert not list(yaml.parent.glob(".kagglekit/runs/gru/*/metrics.json"))
    done(yaml, "train", "--model", "gru")
    assert_same_run(yaml, undisturbed)


SENT = ["written", "sending", "PENDING", "COMPLETE"]


@pytest.mark.parametrize(
    ("point", "then"),
    [
        # about to write the CSV; nothing is logged
        pytest.param("os.rename:*.csv", SENT, marks=slow),
        # the log says sending, the host has nothing
        ("os.rename:*/host/tiny/1.csv", ["written", "sending", "written", *SENT[1:]]),
        # the host has it, the log does not know
        ("open:*/1.csv,open:*leaderboard.jsonl", ["written", "sending", "COMPLETE"]),
        # sent, and not waited for
        ("open:*/1.csv,open:*leaderboard.jsonl,open:*submissions.jsonl", SENT),
    ],
)
def test_submit(point: str, then: list[str], undisturbed: Path, tmp_path: Path) -> None:
    yaml = copy_of(undisturbed, tmp_path, "submissions")
    command = ("submit", "--ensemble", "gru", "--upload", "--yes")
    killed(yaml, point, *command)
    assert "sent as 1: public " in done(yaml, *command)
    (csv,) = yaml.parent.glob("submissions/*.csv")
    (expected,) = undisturbed.parent.glob("submissions/*.csv")
    assert csv.read_bytes() == expected.read_bytes()
    log = [
        json.loads(line) for line in (yaml.parent / "submissions/leaderboard.jsonl").read_text().splitlines()
    ]
    assert [entry["status"] for entry in log] == then
    assert [path.read_bytes() for path in yaml.parent.glob(".kagglekit/host/tiny/*.csv")] == [
        csv.read_bytes()
    ]


# --- Ctrl-C, and two at once ---


def test_ctrl_c_in_training(undisturbed: Path, tmp_path: Path) -> None:
    yaml = copy_of(undisturbed, tmp_path, "runs")
    runs = yaml.parent / ".kagglekit/runs/gru"
    child = kagglekit(yaml, "train", "--model", "gru")
    until(lambda: [*runs.glob("*/fold_0/last.safetensors")], child)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=200)
    assert (child.returncode, out) == (130, "")
    assert err == "stopped\nhint:  nothing is lost: the same command goes on from here\n"
    done(yaml, "train", "--model", "gru")
    assert_same_run(yaml, undisturbed)


def test_two_at_once(undisturbed: Path, tmp_path: Path) -> None:
    yaml = copy_of(undisturbed, tmp_path, "runs", "features", "audio", "clips.*")
    both = [kagglekit(yaml, "--json", "train", "--model", "gru") for _ in range(2)]
    said = [child.communicate(timeout=250) for child in both]
    assert [child.returncode for child in both] == [0, 0]
    first, second = (json.loads(out)["runs"][0] for out, _ in said)
    assert first == second
    assert_same_run(yaml, undisturbed)
    assert leftovers(yaml.parent) == []
