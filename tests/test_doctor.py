"""What the doctor finds, and the remedy it names."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from support import tiny

from kagglekit.config.load import load_config
from kagglekit.doctor import Check, examine
from kagglekit.doctor.files import check_files
from kagglekit.errors import HostError
from kagglekit.files.workspace import Workspace
from kagglekit.hosts.base import Details, HostFile, Limits
from kagglekit.submission.ledger import Entry, Ledger

SOON = datetime.now(UTC) + timedelta(days=12, hours=3, minutes=1)
DETAILS = Details("tiny", "Tiny Speech", "Accuracy", SOON, 5, rules_url="https://host/rules", entered=True)
FILES = [HostFile(name, 1_000_000, None) for name in ("train.zip", "test.zip", "sample_submission.csv")]


class FakeHost:
    """A host of which every part can be replaced; an error is raised."""

    def __init__(self) -> None:
        self.page: Details | HostError = DETAILS
        self.listed: list[HostFile] | HostError = FILES
        self.left: int | None = 3
        self.all_files: HostFile | None = None

    def details(self) -> Details:
        if isinstance(self.page, HostError):
            raise self.page
        return self.page

    def files(self, most: int | None = None) -> list[HostFile]:
        if isinstance(self.listed, HostError):
            raise self.listed
        return self.listed

    def bundle(self) -> HostFile | None:
        return self.all_files

    def limits(self) -> Limits:
        return Limits(today=2, allowed_now=self.left, daily=None)


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> FakeHost:
    """What every config leads to."""
    made = FakeHost()
    monkeypatch.setattr("kagglekit.doctor.open_host", lambda config, folder: made)
    return made


@pytest.fixture
def yaml(tmp_path: Path) -> Path:
    return tiny.make(tmp_path)


def by_name(checks: Iterable[Check]) -> dict[str, Check]:
    return {check.name: check for check in checks}


def test_all_is_well(yaml: Path, host: FakeHost) -> None:
    soon = datetime.now(UTC) + timedelta(days=12, hours=3, minutes=30)
    host.page = replace(DETAILS, deadline=soon)
    found = by_name(examine(yaml))
    assert [name for name, check in found.items() if check.verdict != "ok" or check.remedy] == []
    assert list(found)[:7] == ["config", "host", "rules", "files", "deadline", "metric", "submissions"]
    assert list(found)[7:] == ["disk", "folders", "workspace", "solution", "recordings", "versions", "device"]
    assert found["files"].what == "3, 3.0 MB"
    assert found["deadline"].what.endswith(" UTC, in 12 days 3 h")
    assert found["submissions"].what == "2 sent today, 5 allowed a day, 3 left"
    assert found["workspace"].what == "0 of 3 files fetched, not prepared, 0 runs, 0 submissions"


def late(host: FakeHost) -> None:
    host.page = replace(DETAILS, deadline=datetime(2018, 1, 16, 23, 59, tzinfo=UTC))


def outside(host: FakeHost) -> None:
    host.page = replace(DETAILS, entered=False)


def silent(host: FakeHost) -> None:
    host.page = replace(DETAILS, entered=None)


def used_up(host: FakeHost) -> None:
    host.left = 0


def notebooks(host: FakeHost) -> None:
    host.page = replace(DETAILS, notebooks_only=True)


def other_metric(host: FakeHost) -> None:
    host.page = replace(DETAILS, metric="Macro F1")


def forbidden(host: FakeHost) -> None:
    host.listed = HostError("could not list the files: Kaggle says 403", hint="accept the rules")


def renamed(host: FakeHost) -> None:
    host.listed = [HostFile("train.7z", 1, None)]


def unreachable(host: FakeHost) -> None:
    host.page = HostError("no network: could not read the competition", hint="check the connection")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (late, Check("deadline", "warn", "2018-01-16 23:59 UTC has passed", "late submissions")),
        (outside, Check("rules", "bad", "not accepted", "accept them at https://host/rules")),
        (silent, Check("rules", "warn", "the host does not report", "see https://host/rules")),
        (used_up, Check("submissions", "warn", "2 sent today, 5 allowed a day, 0 left", "a new day")),
        (notebooks, Check("submissions", "bad", "notebooks only, no CSV", "set competition.delivery")),
        (other_metric, Check("metric", "warn", "the host scores by Macro F1, CV is acc", "do not expect")),
        (forbidden, Check("files", "bad", "could not list the files: Kaggle says 403", "accept the rules")),
        (
            renamed,
            Check("files", "bad", "the competition has no file 'train.zip'", "did you mean 'train.7z'"),
        ),
        (unreachable, Check("host", "bad", "no network: could not read the competition", "check the conn")),
    ],
)
def test_what_is_wrong_is_said_with_its_remedy(
    change: Callable[[FakeHost], None], expected: Check, yaml: Path, host: FakeHost
) -> None:
    change(host)
    found = by_name(examine(yaml))[expected.name]
    assert found.verdict == expected.verdict
    assert found.what.startswith(expected.what) and found.remedy.startswith(expected.remedy)


def test_a_diagnosis_is_quick(yaml: Path, host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[int] = []

    def open_host(config: object, folder: Path) -> FakeHost:
        tries.append(config.network.tries)  # type: ignore[attr-defined]
        return host

    monkeypatch.setattr("kagglekit.doctor.open_host", open_host)
    assert by_name(examine(yaml))["host"].verdict == "ok" and tries == [1]


@pytest.mark.parametrize(("free", "verdict"), [(2e9, "ok"), (9e6, "warn"), (2e6, "bad")])
def test_disk(free: float, verdict: str, yaml: Path, host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage(NamedTuple):
        free: int

    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(int(free)))
    found = by_name(examine(yaml))["disk"]
    assert found.verdict == verdict and ("free some space" in found.remedy) == (verdict != "ok")


def test_disk_for_a_bundle(yaml: Path, host: FakeHost) -> None:
    host.listed = [HostFile("tiny.zip", 10**15, None)]
    assert by_name(examine(yaml))["disk"].verdict == "bad"


def test_loose_files(yaml: Path, host: FakeHost) -> None:
    host.all_files = HostFile("tiny.zip", None, None)
    host.listed = [HostFile(f"train/{i}.wav", 10, None) for i in range(300)]
    found = by_name(examine(yaml, ["data.train_archive=train", "data.train_clips='*.wav'"]))
    assert found["files"].what == "all of them, as tiny.zip"
    assert found["disk"].what.endswith("the host does not say how large tiny.zip is")


def test_an_upload_that_was_cut_off(yaml: Path, host: FakeHost) -> None:
    lists: dict[str, list[str]] = {"models": [], "runs": []}
    entry = Entry(
        time="2026-11-22T10:15:00Z",
        csv="a.csv",
        sha256="0",
        **lists,
        weights=[],
        config_key="",
        host="local:tiny",
        status="sending",
    )
    ledger = Ledger(yaml.parent / "submissions/leaderboard.jsonl")
    ledger.append(entry)
    found = by_name(examine(yaml))["workspace"]
    assert found.verdict == "warn" and found.what.endswith("; the upload of a.csv was interrupted")
    assert found.remedy.startswith("kagglekit leaderboard --sync")
    ledger.path.write_text("{}\n{}\n")
    assert by_name(examine(yaml))["workspace"].verdict == "bad"


def test_what_another_process_writes_or_removes_is_not_damaged(
    yaml: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = Workspace(load_config(yaml))
    run = workspace.runs / "gru" / ("0" * 12)
    (run / ".fold_1.0123abcd.part").mkdir(parents=True)
    for path in (run / ".fold_1.0123abcd.part/meta.json", run / "metrics.json"):
        path.write_text("{")
    assert [damage.path for damage in check_files(workspace).damages] == [run / "metrics.json"]

    def is_proven(workspace: Workspace, path: Path) -> bool:
        path.unlink()
        return len(path.read_bytes()) > 0

    monkeypatch.setattr("kagglekit.doctor.files._is_proven", is_proven)
    assert check_files(workspace).damages == [] and not (run / "metrics.json").exists()


def on_kaggle(yaml: Path) -> Path:
    yaml.write_text(tiny.YAML.replace("host: local\n", "host: kaggle\n"))
    return yaml


def test_without_credentials_nobody_is_asked(yaml: Path, host: FakeHost) -> None:
    found = by_name(examine(on_kaggle(yaml)))
    assert (found["credential"].verdict, found["credential"].what) == ("bad", "none found")
    assert "kaggle.com > Settings > API" in found["credential"].remedy
    assert "host" not in found and {"disk", "workspace", "versions", "device"} <= set(found)


def test_what_is_mounted_needs_no_credential(
    yaml: Path, host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAGGLEKIT_INPUT", str(yaml.parent / "host"))
    found = by_name(examine(on_kaggle(yaml)))
    assert found["credential"].verdict == "ok"
    assert found["credential"].what.startswith("none found, and none needed: the files are mounted in ")
    assert "host" not in found
    (yaml.parent / "host/test.zip").unlink()
    assert by_name(examine(yaml))["credential"].verdict == "bad"


def test_a_credential_is_named_and_not_shown(
    yaml: Path, host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAGGLE_API_TOKEN", "f" * 32)
    found = by_name(examine(on_kaggle(yaml)))
    assert found["credential"] == Check("credential", "ok", "access token in KAGGLE_API_TOKEN")
    assert "f" * 32 not in str(found)


def test_a_config_with_problems(yaml: Path) -> None:
    yaml.write_text("competition: {slug: tiny}\n")
    found = by_name(examine(yaml))
    assert found["config"].verdict == "bad" and "labels" in found["config"].what
    assert "workspace" not in found and found["device"].verdict == "ok"
