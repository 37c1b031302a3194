"""A training on the host's machines: pushed, killed in every step, and its runs fetched as if trained here.

The host is played in memory, and what its notebook writes was trained once. tests/notebooks/test_train_local.py
runs a real one.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support import tiny
from support.trainings import trained_there

import kagglekit
from kagglekit.cli import main
from kagglekit.errors import ConfigError, HostError, KagglekitError, SubmissionError
from kagglekit.hosts.notebooks import (
    DatasetSpec,
    DatasetVersion,
    HostDataset,
    KernelSpec,
    Quota,
    SavedKernel,
    Session,
)
from kagglekit.notebooks.training import train_there
from kagglekit.notebooks.training_job import OUTPUT, build_job
from kagglekit.project import Project
from kagglekit.runs.store import Run


class Killed(BaseException):
    """As a kill, which nothing catches."""


class FakeHost:
    """A host that runs notebooks: it has done what it was asked, and answers; `fault` may spoil an answer."""

    account = "me"

    def __init__(self, archive: Path, folder: Path) -> None:
        self.archive, self.folder = archive, folder
        self.files: dict[str, int] = {}
        self.datasets: list[DatasetSpec] = []
        self.kernels: list[KernelSpec] = []
        self.calls: list[str] = []
        self.quota: Quota | None = Quota(3.2, 30.0, datetime(2026, 12, 5, tzinfo=UTC))
        self.status, self.words = "COMPLETE", ""
        self.fault: Callable[[str], None] = lambda call: None

    @property
    def notebooks(self) -> FakeHost:
        return self

    def did(self, call: str) -> None:
        self.calls.append(call)
        self.fault(call)

    def gpu_quota(self) -> Quota | None:
        return self.quota

    def dataset(self, slug: str) -> HostDataset | None:
        self.did("dataset")
        if not self.datasets:
            return None
        versions = tuple(DatasetVersion(i, spec.note, "ready") for i, spec in enumerate(self.datasets, 1))
        return HostDataset(len(versions), versions)

    def dataset_files(self, slug: str, version: int) -> dict[str, int | None]:
        self.did("dataset_files")
        return dict(self.files)

    def upload(self, path: Path) -> str:
        self.files[path.name] = path.stat().st_size
        self.did(f"upload {path.name}")
        return path.name

    def save_dataset(self, spec: DatasetSpec, *, new: bool) -> None:
        assert new == (not self.datasets)
        self.datasets.append(spec)
        self.did("save_dataset")

    def kernel(self, slug: str) -> SavedKernel | None:
        self.did("kernel")
        return SavedKernel(slug, len(self.kernels), self.kernels[-1].source) if self.kernels else None

    def save_kernel(self, spec: KernelSpec) -> SavedKernel:
        self.kernels.append(spec)
        self.did("save_kernel")
        return SavedKernel(spec.slug, len(self.kernels), spec.source)

    def session(self, slug: str, version: int) -> Session:
        self.did("session")
        return Session(self.status, self.words)  # type: ignore[arg-type]

    def log(self, slug: str, version: int) -> str:
        self.did("log")
        (line,) = [
            line for line in self.kernels[-1].source.splitlines() if line.startswith('print("kagglekit')
        ]
        return json.dumps([{"stream_name": "stdout", "time": 0.1, "data": line.split('"')[1] + "\n"}])

    def output_names(self, slug: str, version: int) -> list[str]:
        self.did("output_names")
        return [OUTPUT]

    def fetch_output(
        self, slug: str, version: int, name: str, folder: Path, advance: Callable[[int], None]
    ) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self.archive, folder / name)
        self.did("fetch_output")
        return folder / name


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return trained_there(tmp_path_factory.mktemp("there"), "gru")


def pack(run: Run, path: Path, **results: object) -> Path:
    """What the notebook writes."""
    with zipfile.ZipFile(path, "w") as archive:
        said = {"gru": {"code": 0, "seconds": 1.0}, **results}
        archive.writestr("result.json", json.dumps({"key": "", "models": said}))
        for file in sorted(run.folder.rglob("*")):
            if file.is_file():
                archive.write(file, Path("runs/gru", run.id, file.relative_to(run.folder)))
    return path


@pytest.fixture
def here(tmp_path: Path) -> Project:
    project = kagglekit.open(tiny.make(tmp_path / "here", speakers=4), "train.epochs=2")
    project.fetch()
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels/nothing-1-py3-none-any.whl").touch()
    return project


@pytest.fixture
def host(there: Run, tmp_path: Path) -> FakeHost:
    return FakeHost(pack(there, tmp_path / "runs.zip"), tmp_path / "host")


def train(project: Project, host: FakeHost, models: str = "gru", **more: object) -> list[Run]:
    wheels = project.workspace.root.parents[1] / "wheels"
    built, plans = build_job(
        project.workspace,
        project.path,
        project.settings,
        models.split(","),
        accelerator="NvidiaTeslaT4",
        wheel_folder=wheels,
    )
    sleep = list[float]().append
    return train_there(built, project.prepared, plans, host, sleep=sleep, **more)  # type: ignore[arg-type]


def test_pushed_once_and_fetched_as_if_trained_here(here: Project, host: FakeHost, there: Run) -> None:
    shown: list[str] = []

    def confirm(notes: list[str]) -> bool:
        assert not host.datasets and not host.kernels  # the quota is shown before anything is pushed
        shown.extend(notes)
        return True

    (run,) = train(here, host, confirm=confirm)
    assert shown[0] == "GPU quota: 3.2 of 30.0 hours used until 2026-12-05 00:00 UTC"
    assert shown[2] == (
        "trains gru in the private notebook me/kagglekit-train-tiny, with NvidiaTeslaT4, internet off"
    )
    (kernel,) = host.kernels
    assert (kernel.internet, kernel.private, kernel.accelerator) == (False, True, "NvidiaTeslaT4")
    assert (kernel.datasets, kernel.competitions) == (("me/kagglekit-training-tiny",), ("tiny",))
    compile(kernel.source, "kernel", "exec")
    assert {"competition.yaml", "manifest.json", f"kagglekit-{kagglekit.__version__}-py3-none-any.whl"} < {
        *host.files
    }
    assert run.score == there.score and run.metrics["origin"].endswith("me/kagglekit-train-tiny v1")
    calls = len(host.calls)
    assert here.train("gru")[0].folder == run.folder  # nothing is trained here
    assert here.notebook_train("gru")[0].folder == run.folder and len(host.calls) == calls  # nor there again


def test_killed_after_every_call_it_goes_on(
    here: Project, host: FakeHost, there: Run, tmp_path: Path
) -> None:
    """What the host has done is not done twice: one data set, one notebook, one run."""
    killed: set[str] = set()

    def kill(call: str) -> None:
        if call not in killed:
            killed.add(call)
            raise Killed

    host.fault = kill
    for _ in range(40):
        try:
            (run,) = train(here, host)
            break
        except Killed:
            continue
    assert {"save_dataset", "save_kernel", "session", "log", "output_names", "fetch_output"} <= killed
    assert (len(host.datasets), len(host.kernels)) == (1, 1)
    assert run.score == there.score


def test_a_reply_that_is_lost_is_looked_up(here: Project, host: FakeHost, there: Run) -> None:
    def lose(call: str) -> None:
        if call in ("save_dataset", "save_kernel") and host.calls.count(call) == 1:
            raise HostError("no reply", hint="") from ConnectionError()

    host.fault = lose
    assert train(here, host)[0].score == there.score
    assert (len(host.datasets), len(host.kernels)) == (1, 1)


def test_a_training_that_failed_there_is_told_and_trained_again_by_force(
    here: Project, host: FakeHost, there: Run
) -> None:
    host.status, host.words = "ERROR", "Your notebook tried to allocate more memory than is available"
    for _ in range(2):  # the second time without a push
        with pytest.raises(KagglekitError, match="needed more memory or disk than the host allows") as caught:
            train(here, host)
        assert "--force trains there again" in str(caught.value.hint) and "rehearse" not in str(
            caught.value.hint
        )
    assert len(host.kernels) == 1
    host.status, host.words = "COMPLETE", ""
    assert train(here, host, force=True)[0].score == there.score
    assert (len(host.kernels), len(host.datasets)) == (2, 1)


def test_what_was_not_trained_there_is_named_and_the_rest_kept(
    here: Project, host: FakeHost, there: Run, tmp_path: Path
) -> None:
    pack(there, host.archive, lstm={"code": None, "seconds": 9.0}, tcresnet={"code": 1, "seconds": 2.0})
    with pytest.raises(KagglekitError) as caught:
        train(here, host, "gru,lstm,tcresnet")
    message = str(caught.value)
    assert message.startswith("not trained there: lstm (no time was left), tcresnet (exit code 1); gru/")
    assert len(list(here.workspace.runs.glob("gru/*/metrics.json"))) == 1


def test_an_archive_that_is_damaged_or_unsafe_is_refused(here: Project, host: FakeHost, there: Run) -> None:
    whole = host.archive.read_bytes()
    host.archive.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(KagglekitError):
        train(here, host)
    with zipfile.ZipFile(host.archive, "w") as archive:
        archive.writestr("../../outside.txt", "x")
    with pytest.raises(KagglekitError):
        train(here, host, force=True)
    assert not list(here.workspace.root.rglob("outside.txt"))
    host.archive.write_bytes(whole)
    assert train(here, host, force=True)[0].score == there.score


def test_a_quota_that_is_used_up_pushes_nothing(here: Project, host: FakeHost) -> None:
    host.quota = Quota(30.0, 30.0, None)
    with pytest.raises(SubmissionError, match="no hours of GPUs are left this week"):
        train(here, host)
    host.quota = replace(host.quota, used_hours=1.0)
    with pytest.raises(SubmissionError, match="not pushed"):
        train(here, host, confirm=lambda notes: False)
    assert not host.datasets and not host.kernels


def test_what_a_notebook_cannot_have_is_refused(here: Project, host: FakeHost, tmp_path: Path) -> None:
    assert main(["--quiet", "init", "--upgrade", str(here.path)]) == 0  # to name a training set
    with pytest.raises(ConfigError, match="does not have the training set in"):
        train(here.with_settings(f"data.train.external={tmp_path}"), host)
    with pytest.raises(ConfigError, match="trains on soft targets of this workspace"):
        train(here.with_settings("train.soft_targets=0123456789ab"), host)
    with pytest.raises(ConfigError, match="speech_embedding takes its weights from the package"):
        train(here, host, "speech_embedding")
    with pytest.raises(ConfigError, match="is not on this machine, and the notebook has no internet"):
        train(here.with_settings("audio.sample_rate=16000"), host, "wav2vec2")
    assert not host.calls


def test_the_words_of_the_command(here: Project, capsys: pytest.CaptureFixture[str]) -> None:
    yaml = str(here.path)
    assert main(["-C", yaml, "notebook", "train"]) == 1
    assert "notebook train takes --model, and no blend" in capsys.readouterr().err
    assert main(["-C", yaml, "notebook", "build", "--model", "gru"]) == 1
    assert "are of notebook train, not of build" in capsys.readouterr().err
    assert main(["-C", yaml, "notebook", "train", "--model", "nix"]) == 1
    assert "there is no model 'nix'" in capsys.readouterr().err
