"""What is downloaded for the paths of competition.yaml: files, the bundle, other data sets, or nothing."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from support.kaggle_server import KEY, SLUG, Drop, Flip, KaggleServer, Short, flat, point_client_at
from support.tiny import make

from kagglekit.config import Network
from kagglekit.config.load import load_config
from kagglekit.errors import ConfigError, HostError, MissingError
from kagglekit.files import places
from kagglekit.files.resolve import list_files, read_file, stream
from kagglekit.files.workspace import Workspace
from kagglekit.hosts import open_host
from kagglekit.hosts.client import Client
from kagglekit.hosts.fetch import fetch
from kagglekit.hosts.kaggle import KaggleHost

TREE = {
    f"train_audio/{label}/{i}.ogg": f"{label}{i}".encode() * 900 for label in ("a", "b") for i in range(40)
}
TABLES = {"train.csv": b"filename,label\n", "sample_submission.csv": b"id,label\n1,a\n", "test.zip": b""}
PATTERN = "train_audio/*/*.ogg"
DATASET = "kaggle:rob/xeno-canto"


def as_zip(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, data in files.items():
            file.writestr(name, data)
    return buffer.getvalue()


TABLES["test.zip"] = as_zip({"1.ogg": b"1"})


def workspace_of(folder: Path, train: str, clips: str, *settings: str, test: str = "test.zip") -> Workspace:
    config = load_config(
        make(folder, speakers=1, test_clips=1),
        [
            f"competition.slug={SLUG}",
            f"data.train_archive={train}",
            f"data.train_clips='{clips}'",
            f"data.test_archive={test}",
            "data.test_clips='*.ogg'",
            *(f"data.noise_clips='{clips}'", "data.validation_list=null", "data.testing_list=null"),
            *settings,
        ],
    )
    return Workspace(config)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setattr(places, "INPUT", tmp_path / "input")
    return workspace_of(tmp_path, "train_audio", "*/*.ogg", "competition.host=kaggle")


@pytest.fixture
def server() -> Iterator[KaggleServer]:
    with KaggleServer(files=TREE | TABLES, page_size=200) as server:
        point_client_at(server.address)
        yield server


@pytest.fixture
def host(client: Client, server: KaggleServer) -> KaggleHost:
    return KaggleHost(SLUG, client, Network(tries=3, timeout_s=0.25), lambda _: None)


def names(workspace: Workspace, host: KaggleHost) -> list[str]:
    return [file.name for file in fetch(workspace, host)]


def contents(workspace: Workspace, pattern: str) -> dict[str, bytes]:
    taken: dict[str, bytes] = {}
    stream(workspace, pattern, lambda file, data: taken.update({file.path: data}))
    return taken


def test_a_loose_tree_comes_as_the_bundle(
    workspace: Workspace, host: KaggleHost, server: KaggleServer
) -> None:
    (fetched,) = fetch(workspace, host)
    assert fetched.name == f"{SLUG}.zip" and fetched.new
    assert contents(workspace, PATTERN) == TREE
    assert read_file(workspace, "train.csv") == TABLES["train.csv"]
    assert contents(workspace, "test.zip/*.ogg") == {"test.zip/1.ogg": b"1"}
    assert not (workspace.raw / "train_audio").exists()  # nothing is unpacked
    assert "DownloadDataFile" not in server.calls
    server.calls.clear()
    assert [file.new for file in fetch(workspace, host)] == [False]
    assert set(server.calls) == {"ListDataFiles"}


def test_the_bundle_is_resumed_and_proven(
    workspace: Workspace, host: KaggleHost, server: KaggleServer
) -> None:
    server.tells_md5 = False  # as for a bundle that storage has put together
    server.faults["storage"] = [Drop(100_000), Drop(20_000), None, Flip(60_000)]
    assert fetch(workspace, host)[0].new
    assert server.ranges == ["", "bytes=100000-", "bytes=120000-"]
    assert contents(workspace, PATTERN) == TREE
    server.ranges.clear()
    server.faults["storage"] = [Flip(60_000)]  # its CRCs tell
    assert fetch(workspace, host, force=True)[0].new
    assert server.ranges == ["", ""]
    server.faults["storage"] = [Short(9)]
    assert fetch(workspace, host, force=True)[0].new
    assert contents(workspace, PATTERN) == TREE


def test_few_loose_files_come_one_by_one(
    workspace: Workspace, host: KaggleHost, server: KaggleServer
) -> None:
    few = {name: data for name, data in TREE.items() if "/a/" in name}
    server.files = few | TABLES
    assert sorted(names(workspace, host)) == sorted([*few, "sample_submission.csv", "test.zip"])
    assert "DownloadDataFiles" not in server.calls
    assert contents(workspace, PATTERN) == few


def test_a_list_of_thousands_is_not_read_to_its_end(
    workspace: Workspace, host: KaggleHost, server: KaggleServer
) -> None:
    server.files = {f"other/{i:05d}.txt": b"" for i in range(3000)} | TREE | TABLES
    assert names(workspace, host) == [f"{SLUG}.zip"]
    assert server.calls.count("ListDataFiles") == 2


def test_a_table_among_thousands_of_files(
    host: KaggleHost, server: KaggleServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "INPUT", tmp_path / "input")
    workspace = workspace_of(tmp_path, "train.zip", "*/*.ogg", "competition.host=kaggle")
    server.files = {f"other/{i:05d}.txt": b"" for i in range(3000)} | TABLES | {"train.zip": as_zip(TREE)}
    assert names(workspace, host) == ["train.zip", "test.zip", "sample_submission.csv"]
    del server.files["train.zip"]
    with pytest.raises(HostError) as caught:
        fetch(workspace, KaggleHost(SLUG, host._client, Network(tries=3, timeout_s=0.25)))
    assert str(caught.value) == "the competition has no file 'train.zip'"
    assert len(str(caught.value.hint)) < 200


def test_what_the_yaml_calls_by_another_name(
    host: KaggleHost, server: KaggleServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table that Kaggle packs, and an archive that it has unpacked."""
    monkeypatch.setattr(places, "INPUT", tmp_path / "input")
    workspace = workspace_of(tmp_path, "test.zip", "*.ogg", "competition.host=kaggle")
    del server.files["sample_submission.csv"]
    server.files["sample_submission.csv.zip"] = as_zip({"sample_submission.csv": b"id,label\n"})
    assert names(workspace, host) == ["test.zip", "sample_submission.csv.zip"]
    assert read_file(workspace, "sample_submission.csv") == b"id,label\n"
    folder = tmp_path / "unpacked"
    workspace = workspace_of(folder, "train_audio.zip", "*/*.ogg", "competition.host=kaggle")
    assert names(workspace, host) == [f"{SLUG}.zip"]
    assert len(list_files(workspace, "train_audio.zip/*/*.ogg")) == len(TREE)


def test_a_mounted_competition_asks_no_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither for lists that few competitions have, nor for the test that only its notebooks see."""
    monkeypatch.setattr(places, "INPUT", tmp_path / "input")
    mount = tmp_path / "input/competitions" / SLUG
    for name, data in (TREE | TABLES).items():
        (mount / name).parent.mkdir(parents=True, exist_ok=True)
        (mount / name).write_bytes(data)
    settings = ["competition.host=kaggle", "competition.delivery=notebook"]
    settings += ["data.validation_list=lists/validation.txt", "data.test_archive=hidden.zip"]
    workspace = workspace_of(tmp_path, "train_audio", "*/*.ogg", *settings)
    assert fetch(workspace, no_host) == []
    workspace = workspace_of(tmp_path, "train_sound", "*/*.ogg", *settings)
    with pytest.raises(ConfigError, match=r"no file matches 'train_sound/\*/\*.ogg'") as caught:
        fetch(workspace, no_host)
    assert "'train_audio'" in str(caught.value.hint)
    workspace = workspace_of(
        tmp_path, "train_audio", "*/*.ogg", *settings, f"data.unlabelled='{DATASET}/*.ogg'"
    )
    with pytest.raises(
        MissingError, match="rob/xeno-canto is not mounted, and there is no credential"
    ) as missing:
        fetch(workspace, no_host)
    assert str(missing.value.hint).startswith("add it to the inputs of the notebook")


def test_nothing_matches(workspace: Workspace, host: KaggleHost, server: KaggleServer) -> None:
    server.files = {
        name.replace("train_audio", "train_short_audio"): data for name, data in TREE.items()
    } | TABLES
    with pytest.raises(HostError) as caught:
        fetch(workspace, host)
    assert str(caught.value) == (
        "the competition has no file that matches 'train_audio/*/*.ogg'; it has 83 files"
    )
    assert "such as" in str(caught.value.hint) and len(str(caught.value.hint)) < 200


def test_the_bundle_by_name(workspace: Workspace, host: KaggleHost) -> None:
    assert [file.name for file in fetch(workspace, host, [f"{SLUG}.zip", "train.csv"])] == [
        f"{SLUG}.zip",
        "train.csv",
    ]


def test_rules_that_are_not_accepted(workspace: Workspace, host: KaggleHost, server: KaggleServer) -> None:
    server.entered = False
    with pytest.raises(HostError, match="must accept this competition's rules"):
        fetch(workspace, host)


@pytest.mark.parametrize("competition", ["kaggle", "local"])
def test_another_data_set(
    competition: str,
    client: Client,
    host: KaggleHost,
    server: KaggleServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(places, "INPUT", tmp_path / "input")
    workspace = workspace_of(tmp_path, DATASET, "audio/*/*.ogg", f"competition.host={competition}")
    server.datasets["rob/xeno-canto"] = as_zip({name.replace("train_", ""): d for name, d in TREE.items()})
    if competition == "local":
        monkeypatch.setattr("kagglekit.hosts.kaggle.sign_in", lambda _: client)
        (tmp_path / "host" / "test.zip").write_bytes(TABLES["test.zip"])
    used = host if competition == "kaggle" else open_host(workspace.config, workspace.root)
    server.faults["storage"] = [Drop(50_000)]
    found = [file.name for file in fetch(workspace, used)]
    assert sorted(found) == ["rob/xeno-canto.zip", "sample_submission.csv", "test.zip"]
    assert len(contents(workspace, f"{DATASET}/audio/*/*.ogg")) == len(TREE)
    assert [file.new for file in fetch(workspace, used, [DATASET])] == [False]
    server.faults["DownloadDataset"] = [flat(403, "Permission 'datasets.get' was denied")]
    with pytest.raises(HostError) as caught:
        fetch(workspace, used, [DATASET], force=True)
    assert "could not download rob/xeno-canto.zip: Kaggle says 403" in str(caught.value)
    assert caught.value.hint == (
        "check that your account can open https://www.kaggle.com/datasets/rob/xeno-canto"
    )
    shown = "".join(capsys.readouterr()) + str(caught.value)
    assert KEY not in shown and "signature" not in shown


def no_host() -> NoReturn:
    raise AssertionError("the host is not needed")


def test_what_is_mounted_needs_no_host(workspace: Workspace, tmp_path: Path) -> None:
    mount = tmp_path / "input/competitions" / SLUG
    for name, data in (TREE | TABLES).items():
        (mount / name).parent.mkdir(parents=True, exist_ok=True)
        (mount / name).write_bytes(data)
    assert fetch(workspace, no_host) == []
    assert contents(workspace, PATTERN) == TREE


def test_loose_files_of_a_local_host_are_read_where_they_lie(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "INPUT", tmp_path / "input")
    workspace = workspace_of(tmp_path, "train_audio", "*/*.ogg")
    for name, data in (TREE | TABLES).items():
        (tmp_path / "host" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "host" / name).write_bytes(data)
    host = open_host(workspace.config, workspace.root)
    assert [file.name for file in fetch(workspace, host)] == ["test.zip", "sample_submission.csv"]
    assert contents(workspace, PATTERN) == TREE
    assert not (workspace.raw / "train_audio").exists()
    workspace = workspace_of(tmp_path, "train_odio", "*/*.ogg")
    with pytest.raises(HostError, match="no file that matches"):
        fetch(workspace, host)
