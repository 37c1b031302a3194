"""Kaggle through its real client, against a loopback server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests
from kaggle_server import HTML, KEY, SLUG, Fault, KaggleServer, flat, nested, point_client_at

from kagglekit.config import Competition, Config, Labels, LocalHost
from kagglekit.errors import HostError
from kagglekit.hosts import base, open_host
from kagglekit.hosts.kaggle import Client, KaggleHost, _call, sign_in

FILES = {
    "train.7z": os.urandom(300_000),
    "my file.csv": b"a,b\n",
    "sample_submission.csv": b"fname,label\na,x\nb,x\n",
}
SOLUTION = {"a": "yes", "b": "no"}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """The real client, imported and signed in once (half a second)."""
    with pytest.MonkeyPatch.context() as patch, KaggleServer() as server:
        for name, value in server.environment(str(tmp_path_factory.mktemp("home"))).items():
            if name.lower() != "http_proxy":
                patch.setenv(name, value)
        for name in ("KAGGLE_API_TOKEN", "KAGGLE_CONFIG_DIR"):  # the developer's own
            patch.delenv(name, raising=False)
        client = sign_in()
        client.api.args = ["--local"]  # where another test imported it before
        yield client


@pytest.fixture
def server() -> Iterator[KaggleServer]:
    with KaggleServer(files=dict(FILES), solution=SOLUTION) as server:
        point_client_at(server.address)
        yield server


@pytest.fixture
def host(client: Client, server: KaggleServer) -> KaggleHost:
    return KaggleHost(SLUG, client)


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    path = tmp_path / "submission.csv"
    path.write_text("fname,label\na,yes\nb,yes\n")
    return path


@pytest.fixture(params=["kaggle", "local"])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> base.Host:
    """The same small competition on both hosts."""
    if request.param == "kaggle":
        host: base.Host = request.getfixturevalue("host")
        return host
    files = tmp_path / "files"
    files.mkdir()
    for name, data in FILES.items():
        (files / name).write_bytes(data)
    solution = tmp_path / "solution.csv"
    solution.write_text("fname,label\n" + "".join(f"{i},{label}\n" for i, label in SOLUTION.items()))
    local = LocalHost(files=files, solution=solution, daily_limit=5, grading_seconds=0.05)
    config = Config(
        competition=Competition(slug=SLUG, host="local", local=local),
        labels=Labels(targets=("yes", "no")),
        data={"sample_submission": "sample_submission.csv"},
    )
    return open_host(config, tmp_path / "workspace")


# --- what both hosts do ---


def test_every_file_is_listed_with_its_size(either: base.Host) -> None:
    assert {f.name: f.size for f in either.files()} == {name: len(data) for name, data in FILES.items()}


@pytest.mark.parametrize("name", FILES)
def test_a_download_is_whole_and_alone(either: base.Host, tmp_path: Path, name: str) -> None:
    seen: list[int] = []
    got = either.download(name, tmp_path / "raw", seen.append)
    assert got.read_bytes() == FILES[name]
    assert sum(seen) == len(FILES[name])
    assert list((tmp_path / "raw").iterdir()) == [tmp_path / "raw" / name]


def test_a_misspelt_file(either: base.Host, tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"no file 'tran\.7z'") as caught:
        either.download("tran.7z", tmp_path / "raw", lambda _: None)
    assert caught.value.hint == "did you mean 'train.7z'?"


def test_submit_and_wait_for_the_score(either: base.Host, csv: Path) -> None:
    ref = either.submit(csv, "first")
    for _ in range(100):
        state = either.submission(ref)
        if state.status != "PENDING":
            break
        time.sleep(0.02)
    assert (state.status, state.public, state.private, state.error) == ("COMPLETE", 0.5, None, "")
    assert (state.ref, state.file_name, state.message) == (ref, "submission.csv", "first")
    assert [s.ref for s in either.submissions()] == [ref]
    limits = either.limits()
    assert (limits.today, limits.allowed_now) == (1, 4)


# --- Kaggle alone ---


def test_details(host: KaggleHost) -> None:
    details = host.details()
    assert (details.title, details.metric, details.daily_limit) == (
        "Tiny Speech",
        "Categorization Accuracy",
        5,
    )
    assert details.deadline == datetime(2030, 1, 2, 23, 59, 0, 123_000, tzinfo=UTC)
    assert details.rules_url == f"https://www.kaggle.com/competitions/{SLUG}/rules"


def test_leaderboard(host: KaggleHost) -> None:
    assert host.leaderboard() == [
        base.LeaderboardRow(1, "Heng", 0.9106),
        base.LeaderboardRow(2, "tester", 0.86),
        base.LeaderboardRow(3, "nobody", None),
    ]


RULES = f"https://www.kaggle.com/competitions/{SLUG}/rules"


@pytest.mark.parametrize(
    ("fault", "message", "hint"),
    [
        (flat(401, "Unauthenticated"), "Kaggle says 401 Unauthenticated", "KAGGLE_API_TOKEN"),
        (flat(403, "You must accept\nthe rules"), "Kaggle says 403 You must accept the rules", RULES),
        (flat(404, "Not found"), "Kaggle says 404 Not found", f"'{SLUG}'"),
        (nested(429, "Quota", ("Retry-After", "30")), "Kaggle says 429 Quota", "wait 30 s"),
        (nested(503, "Overloaded"), "Kaggle says 503 Overloaded", "some minutes"),
        (Fault(500, b"<html>", "text/html"), "Kaggle says 500 Internal Server Error", "some minutes"),
        (Fault(200, flat(403, "In the body").body), "Kaggle says 403 In the body", RULES),
        (HTML, "Kaggle's answer makes no sense", "login page"),
        (Fault(200, b'{"files": 3}'), "Kaggle's answer makes no sense", "login page"),
    ],
)
def test_refusals_keep_the_servers_words(
    host: KaggleHost, server: KaggleServer, fault: Fault, message: str, hint: str
) -> None:
    server.faults["ListDataFiles"] = fault
    with pytest.raises(HostError, match=f"could not list the files: .*{message}") as caught:
        host.files()
    assert hint in str(caught.value.hint)
    assert KEY not in str(caught.value)


def test_no_network(host: KaggleHost) -> None:
    point_client_at("http://127.0.0.1:9")
    with pytest.raises(HostError, match="no network: could not read the limits"):
        host.limits()


def test_a_short_download_is_not_kept(host: KaggleHost, server: KaggleServer, tmp_path: Path) -> None:
    server.short_by = 10
    with pytest.raises(HostError, match=r"train\.7z arrived with 299,990 bytes, Kaggle lists 300,000"):
        host.download("train.7z", tmp_path / "raw", lambda _: None)
    assert list((tmp_path / "raw").iterdir()) == []


def test_a_refused_download_leaves_nothing(host: KaggleHost, server: KaggleServer, tmp_path: Path) -> None:
    server.faults["storage"] = Fault(403, b"<Error>Expired</Error>", "application/xml")
    with pytest.raises(HostError, match=r"could not download train\.7z: Kaggle says 403") as caught:
        host.download("train.7z", tmp_path / "raw", lambda _: None)
    assert "storage" in str(caught.value.hint) and "rules" not in str(caught.value.hint)
    assert list((tmp_path / "raw").iterdir()) == []


def test_a_download_that_was_killed_goes_on(host: KaggleHost, server: KaggleServer, tmp_path: Path) -> None:
    data, staging = FILES["train.7z"], tmp_path / "raw" / "train.7z.part"
    staging.mkdir(parents=True)
    (staging / "train.7z").write_bytes(data[:200_000])
    marker = {"validator": server.etag(data), "size": len(data)}
    (staging / "train.7z.kaggle-partial").write_text(json.dumps(marker))
    got = host.download("train.7z", tmp_path / "raw", lambda _: None)
    assert got.read_bytes() == data
    assert "bytes=200000-" in server.ranges


def test_a_failed_upload_is_an_error(host: KaggleHost, server: KaggleServer, csv: Path) -> None:
    server.faults["upload"] = Fault(400, b"")
    with pytest.raises(HostError, match=r"did not take submission\.csv: Could not submit to competition"):
        host.submit(csv, "")
    assert "CreateSubmission" not in server.calls


def test_the_daily_limit_in_kaggles_words(host: KaggleHost, server: KaggleServer, csv: Path) -> None:
    server.faults["CreateSubmission"] = flat(400, "Your team has used its submission allowance (5 of 5).")
    with pytest.raises(HostError, match=r"could not submit: Kaggle says 400 Your team .* \(5 of 5\)\."):
        host.submit(csv, "")


def test_the_grader_says_what_is_wrong(host: KaggleHost, server: KaggleServer, csv: Path) -> None:
    ref = host.submit(csv, "")
    assert host.submission(ref).status == "PENDING"
    server.submissions[0] |= {"status": "ERROR", "errorDescription": "Missing\nids", "polls": 9}
    state = host.submission(ref)
    assert (state.status, state.error, state.public) == ("ERROR", "Missing ids", None)


def test_a_key_that_cannot_be_sent_is_not_shown() -> None:
    with pytest.raises(HostError, match="the key has a character") as caught:
        _call("sign in", SLUG, lambda: requests.get("http://127.0.0.1:9", headers={"A": "secret\n"}))
    assert "secret" not in f"{caught.value} {caught.value.hint} {caught.value.__cause__}"


# --- signing in, in processes of their own ---

SCRIPT = """
import sys
from kagglekit.errors import HostError
from kagglekit.hosts.kaggle import KaggleHost, sign_in
try:
    print(len(KaggleHost("tiny-speech", sign_in()).files()))
except HostError as error:
    print(error, error.hint, sep="|", file=sys.stderr)
"""


def _run(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)} | environment
    return subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, text=True, capture_output=True, check=True
    )


def test_signed_in_by_token_and_quiet_even_if_verbose(server: KaggleServer, tmp_path: Path) -> None:
    environment = server.environment(str(tmp_path)) | {"KAGGLE_API_TOKEN": KEY, "VERBOSE": "1"}
    done = _run(environment)
    assert done.stdout == "3\n"
    assert KEY not in done.stderr


def test_not_signed_in(server: KaggleServer, tmp_path: Path) -> None:
    environment = server.environment(str(tmp_path))
    del environment["KAGGLE_KEY"]
    done = _run(environment)
    assert done.stdout == ""
    assert done.stderr.startswith("not signed in to Kaggle|create a token at kaggle.com > Settings > API")


def test_no_network_while_signing_in(server: KaggleServer, tmp_path: Path) -> None:
    environment = server.environment(str(tmp_path)) | {
        "KAGGLE_API_TOKEN": KEY,
        "http_proxy": "http://127.0.0.1:9",
    }
    done = _run(environment)
    assert done.stderr.startswith("no network: could not sign in (ProxyError)")


def test_a_folder_the_client_cannot_make(server: KaggleServer, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = _run(server.environment(str(tmp_path)) | {"KAGGLE_CONFIG_DIR": str(tmp_path / "file" / "kaggle")})
    assert done.stderr.startswith("Kaggle's client does not start: ")
    assert "KAGGLE_CONFIG_DIR" in done.stderr
