"""Data sets, kernels and code submissions through Kaggle's real client: the fourteen things that trip."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from support.kaggle_server import KaggleServer
from support.kaggle_wire import EXPIRED, Drop, Fault, Stall, flat, nested

from kagglekit.config import Network
from kagglekit.errors import HostError
from kagglekit.hosts.client import Client
from kagglekit.hosts.kaggle import KaggleHost
from kagglekit.hosts.kaggle_notebooks import KaggleNotebooks
from kagglekit.hosts.notebooks import DatasetSpec, KernelSpec, notebooks_of
from kagglekit.submission.send import may_have_arrived

SCRIPT = "print('hello')\nopen('submission.csv', 'w').write('fname,label\\n')\n"
KERNEL = KernelSpec(slug="my-notebook", title="My notebook", source=SCRIPT, competitions=("tiny-speech",))


@pytest.fixture
def notebooks(client: Client, server: KaggleServer) -> KaggleNotebooks:
    server.dataset_looks = server.queue_looks = server.run_looks = 0
    server.run_before(SCRIPT, "tiny-speech", {})
    service = notebooks_of(
        KaggleHost("tiny-speech", client, Network(tries=2, timeout_s=0.25), lambda _: None)
    )
    assert isinstance(service, KaggleNotebooks)
    return service


def requests_to(server: KaggleServer, method: str, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The requests that a method will be sent."""
    seen: list[dict[str, Any]] = []
    original = getattr(server, method)
    monkeypatch.setattr(server, method, lambda request: seen.append(request) or original(request))
    return seen


def save(notebooks: KaggleNotebooks, path: Path, note: str = "v", *, new: bool = True) -> None:
    token = notebooks.upload(path)
    notebooks.save_dataset(DatasetSpec(slug="my-data", title="My data", files=(token,), note=note), new=new)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "a.bin").write_bytes(b"aaaa")
    return tmp_path / "a.bin"


@pytest.mark.parametrize("new", [True, False])
def test_1_a_lost_reply_makes_no_second_version(
    new: bool, notebooks: KaggleNotebooks, server: KaggleServer, file: Path
) -> None:
    if not new:
        save(notebooks, file, "before")
    server.faults = {"CreateDataset": [Drop()], "CreateDatasetVersion": [Drop()]}
    with pytest.raises(HostError) as caught:
        save(notebooks, file, "now", new=new)
    assert may_have_arrived(caught.value)
    found = notebooks.dataset("my-data")
    assert found is not None and len(found.versions) == (1 if new else 2)
    assert (version := found.noted("now")) is not None and version.number == found.current


def test_1_a_pause_that_is_too_long_is_not_waited_for(
    notebooks: KaggleNotebooks, server: KaggleServer, file: Path
) -> None:
    server.faults["CreateDataset"] = nested(429, "Slow down", ("Retry-After", "86400"))
    with pytest.raises(HostError, match="429 Slow down"):
        save(notebooks, file)
    assert server.calls.count("CreateDataset") == 1


def test_2_changed_bytes_of_the_same_size_and_second_are_uploaded(
    notebooks: KaggleNotebooks, server: KaggleServer, file: Path
) -> None:
    os.utime(file, (1e9, 1e9))
    server.faults["CreateDataset"] = [flat(500, "Oops")]
    with pytest.raises(HostError):
        save(notebooks, file)
    file.write_bytes(b"bbbb")
    os.utime(file, (1e9, 1e9))
    save(notebooks, file)
    assert server.own_datasets["tester/my-data"].versions[0].files == {"a.bin": b"bbbb"}


@pytest.mark.parametrize("fault", [flat(503, "Busy"), flat(401, "Unauthenticated"), nested(429, "Too many")])
def test_3_a_failure_does_not_mean_that_a_name_is_free(
    fault: Fault, notebooks: KaggleNotebooks, server: KaggleServer
) -> None:
    server.faults["GetDataset"] = fault
    with pytest.raises(HostError, match="could not read the data set my-data"):
        notebooks.dataset("my-data")


@pytest.mark.parametrize("status", [403, 404])
def test_3_what_is_not_there(status: int, notebooks: KaggleNotebooks, server: KaggleServer) -> None:
    server.missing_is = status
    assert notebooks.dataset("my-data") is None
    assert notebooks.kernel("my-notebook") is None


def test_3_what_must_not_be_seen_is_not_missing(
    notebooks: KaggleNotebooks, server: KaggleServer, file: Path
) -> None:
    save(notebooks, file)
    server.faults["GetDataset"] = flat(403, "Permission denied")
    with pytest.raises(HostError, match="403 Permission denied") as caught:
        notebooks.dataset("my-data")
    assert "https://www.kaggle.com/datasets/tester/my-data" in str(caught.value.hint)


def test_3_a_taken_name(notebooks: KaggleNotebooks, file: Path) -> None:
    save(notebooks, file)
    with pytest.raises(
        HostError, match='Kaggle says The requested slug "my-data" is already in use'
    ) as caught:
        save(notebooks, file)
    assert not may_have_arrived(caught.value)


def test_4_refusals_of_a_push_stand_in_the_reply(notebooks: KaggleNotebooks, server: KaggleServer) -> None:
    server.push_says = "Maximum weekly GPU quota of 30.00 hours reached"
    with pytest.raises(HostError, match="Kaggle says Maximum weekly GPU quota") as caught:
        notebooks.save_kernel(KERNEL)
    assert "the week's quota is used up" in str(caught.value.hint) and not may_have_arrived(caught.value)


def test_4_a_push_without_a_version_number_may_have_arrived(
    notebooks: KaggleNotebooks, server: KaggleServer
) -> None:
    server.faults["SaveKernel"] = [Fault(200, b"{}"), Drop()]
    for _ in range(2):
        with pytest.raises(HostError) as caught:
            notebooks.save_kernel(KERNEL)
        assert may_have_arrived(caught.value)
    assert server.calls.count("SaveKernel") == 2  # one each


def test_5_the_internet_is_off_on_the_wire(
    notebooks: KaggleNotebooks, server: KaggleServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = requests_to(server, "SaveKernel", monkeypatch)
    notebooks.save_kernel(KERNEL)
    assert (seen[0]["enableInternet"], seen[0]["isPrivate"]) == (False, True)


def test_6_the_name_is_the_one_in_the_reply(notebooks: KaggleNotebooks, server: KaggleServer) -> None:
    server.other_slug = "another-name"
    assert notebooks.save_kernel(KERNEL).slug == "another-name"


def test_7_the_version_is_on_the_wire(
    notebooks: KaggleNotebooks, server: KaggleServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        notebooks.save_kernel(KERNEL)
    states = requests_to(server, "GetKernelSessionStatus", monkeypatch)
    outputs = requests_to(server, "ListKernelSessionOutput", monkeypatch)
    assert notebooks.session("my-notebook", 1).ended
    assert notebooks.output_names("my-notebook", 1) == ["submission.csv"]
    assert {request["versionLabel"] for request in states + outputs} == {"v1"}


def test_8_an_expired_token_is_no_wrong_name(notebooks: KaggleNotebooks, server: KaggleServer) -> None:
    notebooks.save_kernel(KERNEL)
    server.faults["GetKernelSessionStatus"] = flat(401, "Unauthenticated")
    with pytest.raises(HostError, match="401") as caught:
        notebooks.session("my-notebook", 1)
    assert "rejects the credentials" in str(caught.value.hint)


def test_8_an_unknown_status_and_an_empty_reply(notebooks: KaggleNotebooks, server: KaggleServer) -> None:
    notebooks.save_kernel(KERNEL)
    server.faults["GetKernelSessionStatus"] = Fault(200, b'{"status": "PAUSED"}')
    with pytest.raises(HostError, match="cannot be read"):
        notebooks.session("my-notebook", 1)
    server.faults["GetKernelSessionStatus"] = Fault(200, b"{}")
    assert not notebooks.session("my-notebook", 1).ended


def test_9_the_output_replaces_what_lies_there(
    notebooks: KaggleNotebooks, server: KaggleServer, tmp_path: Path
) -> None:
    notebooks.save_kernel(KERNEL)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "submission.csv").write_text("something newer, and not smaller")
    server.faults["storage"] = [EXPIRED]
    path = notebooks.fetch_output("my-notebook", 1, "submission.csv", tmp_path / "out", lambda _: None)
    assert path.read_text() == "fname,label\n"


def test_10_a_failed_upload_makes_no_version_without_the_file(
    notebooks: KaggleNotebooks, server: KaggleServer, file: Path
) -> None:
    server.faults["upload"] = flat(403, "No")
    with pytest.raises(HostError, match=r"could not upload a\.bin"):
        save(notebooks, file)
    assert "CreateDataset" not in server.calls


def test_11_a_code_submission_is_sent_once_with_its_version(
    notebooks: KaggleNotebooks, server: KaggleServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    notebooks.save_kernel(KERNEL)
    seen = requests_to(server, "CreateCodeSubmission", monkeypatch)
    server.faults["CreateCodeSubmission"] = [Drop()]
    with pytest.raises(HostError) as caught:
        notebooks.submit("my-notebook", 1, "submission.csv", "a try")
    assert may_have_arrived(caught.value) and len(server.submissions) == 1
    assert (seen[0]["kernelOwner"], seen[0]["kernelSlug"], seen[0]["kernelVersion"]) == (
        "tester",
        "my-notebook",
        1,
    )


def test_12_the_log_is_json(notebooks: KaggleNotebooks) -> None:
    notebooks.save_kernel(KERNEL)
    assert '"data": "hello\\n"' in notebooks.log("my-notebook", 1)


@pytest.mark.parametrize("request_", ["GetKernel", "StartBlobUpload", "upload"])
def test_13_a_server_that_says_nothing_is_given_up(
    request_: str, notebooks: KaggleNotebooks, server: KaggleServer, file: Path
) -> None:
    server.faults[request_] = Stall()
    with pytest.raises(HostError, match="no answer"):
        notebooks.kernel("my-notebook") if request_ == "GetKernel" else notebooks.upload(file)


def test_14_ready_may_be_the_version_before(
    notebooks: KaggleNotebooks, server: KaggleServer, file: Path
) -> None:
    save(notebooks, file, "first")
    server.dataset_looks = 100
    save(notebooks, file, "second", new=False)
    found = notebooks.dataset("my-data")
    assert found is not None and (second := found.noted("second")) is not None
    assert (found.current, second.number, second.state) == (1, 2, "pending")


def test_the_quota(notebooks: KaggleNotebooks) -> None:
    quota = notebooks.gpu_quota()
    assert quota is not None and (quota.used_hours, quota.allowed_hours, quota.left_hours) == (
        3.5,
        30.0,
        26.5,
    )
