"""Kaggle through its real client, against a loopback server."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests
from support.kaggle_server import (
    EXPIRED,
    HTML,
    KEY,
    SLUG,
    Drop,
    Fault,
    Flip,
    KaggleServer,
    Stall,
    Unheard,
    flat,
    nested,
    point_client_at,
)
from support.kaggle_wire import Masked
from support.sign_in import FILES, SOLUTION

from kagglekit.config import Competition, Config, Data, Labels, LocalSettings, Network
from kagglekit.errors import HostError
from kagglekit.hosts import base, open_host
from kagglekit.hosts.client import Client
from kagglekit.hosts.kaggle import KaggleHost
from kagglekit.hosts.replies import explained


@pytest.fixture
def waits() -> list[float]:
    """Seconds that the host would have waited."""
    return []


@pytest.fixture
def host(client: Client, server: KaggleServer, waits: list[float]) -> KaggleHost:
    return KaggleHost(SLUG, client, Network(tries=3, timeout_s=0.25), waits.append)


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
    for name, data in FILES.items():
        (files / name).parent.mkdir(parents=True, exist_ok=True)
        (files / name).write_bytes(data)
    solution = tmp_path / "solution.csv"
    solution.write_text("fname,label\n" + "".join(f"{i},{label}\n" for i, label in SOLUTION.items()))
    local = LocalSettings(files=files, solution=solution, daily_limit=5, grading_seconds=0.05)
    config = Config(
        competition=Competition(slug=SLUG, host="local", local=local),
        labels=Labels(classes=("yes", "no")),
        data=Data(sample="sample_submission.csv", train={"files": "a/*"}, test={"files": "b/*"}),
    )
    return open_host(config, tmp_path / "workspace")


# --- what both hosts do ---


def test_every_file_is_listed_with_its_size(either: base.Host) -> None:
    assert {f.name: f.size for f in either.files()} == {name: len(data) for name, data in FILES.items()}


@pytest.mark.parametrize("name", FILES)
def test_a_download_is_whole_and_alone(either: base.Host, tmp_path: Path, name: str) -> None:
    seen: list[int] = []
    got = either.download(name, tmp_path / "raw", seen.append).path
    assert got.read_bytes() == FILES[name]
    assert sum(seen) == len(FILES[name])
    assert [p for p in (tmp_path / "raw").rglob("*") if p.is_file()] == [tmp_path / "raw" / name]


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


def test_the_page_about_evaluation(host: KaggleHost, server: KaggleServer) -> None:
    assert host.evaluation() == ""
    server.pages = {"rules": "be fair", "evaluation": "<p>predict &amp; send</p>"}
    assert host.evaluation() == "<p>predict &amp; send</p>"


def test_selected(host: KaggleHost, server: KaggleServer) -> None:
    refs = [server.add_submission("submission.csv", b"fname,label\na,yes\nb,no\n") for _ in range(5)]
    server.selected = {refs[1], refs[4]}
    assert host.selected() == {str(refs[1]), str(refs[4])}


def test_leaderboard(host: KaggleHost) -> None:
    assert host.leaderboard() == [
        base.LeaderboardRow(1, "Heng", 0.9106),
        base.LeaderboardRow(2, "tester", 0.86),
        base.LeaderboardRow(3, "nobody", None),
    ]


def test_a_score_that_is_no_number(host: KaggleHost, server: KaggleServer) -> None:
    server.board = [("a", "0.5"), ("b", "NaN"), ("c", "Infinity"), ("d", "n/a")]
    assert [row.score for row in host.leaderboard()] == [0.5, None, None, None]


def test_details_of_another_kind(host: KaggleHost, server: KaggleServer) -> None:
    assert (host.details().notebooks_only, host.details().teams, host.details().rank) == (False, 3, None)
    server.competition = {"isKernelsSubmissionsOnly": True, "teamCount": 1315, "userRank": 7}
    details = host.details()
    assert (details.notebooks_only, details.teams, details.rank) == (True, 1315, 7)


RULES = f"https://www.kaggle.com/competitions/{SLUG}/rules"


@pytest.mark.parametrize(
    ("fault", "tries", "message", "hint"),
    [
        (flat(401, "Unauthenticated"), 1, "Kaggle says 401 Unauthenticated", "KAGGLE_API_TOKEN"),
        (flat(403, "You must accept\nthe rules"), 1, "Kaggle says 403 You must accept the rules", RULES),
        (flat(404, "Not found"), 1, "Kaggle says 404 Not found", f"'{SLUG}'"),
        (nested(429, "Quota", ("Retry-After", "30")), 3, "Kaggle says 429 Quota", "wait 30 s"),
        (nested(429, "Quota", ("Retry-After", "900")), 1, "Kaggle says 429 Quota", "wait 15 min"),
        (nested(503, "Overloaded"), 3, "Kaggle says 503 Overloaded", "some minutes"),
        (Fault(500, b"<html>", "text/html"), 3, "Kaggle says 500 Internal Server Error", "some minutes"),
        (Fault(200, flat(403, "In the body").body), 1, "Kaggle says 403 In the body", RULES),
        (HTML, 3, "Kaggle's reply cannot be read", "login page"),
        (Fault(200, b'{"files": 3}'), 3, "Kaggle's reply cannot be read", "login page"),
        (Fault(200, b"[3]"), 3, "reply cannot be read .JSON that is not an object", "login page"),
        (Fault(200, b'{"files"'), 3, "Kaggle's reply cannot be read", "login page"),
    ],
)
def test_refusals_keep_the_servers_words(
    host: KaggleHost, server: KaggleServer, fault: Fault, tries: int, message: str, hint: str
) -> None:
    server.faults["ListDataFiles"] = fault
    with pytest.raises(HostError, match=f"could not list the files: .*{message}") as caught:
        host.files()
    assert hint in str(caught.value.hint)
    assert KEY not in str(caught.value)
    assert len(server.calls) == tries


@pytest.mark.parametrize(
    "trouble",
    [
        nested(429, ""),
        flat(500, ""),
        flat(503, ""),
        HTML,
        Drop(),
        Drop(3),
        Drop(reset=True),
        Unheard(),
        Stall(),
        Stall(3),
    ],
)
@pytest.mark.parametrize(
    ("method", "ask"),
    [
        ("GetCompetition", "details"),
        ("ListDataFiles", "files"),
        ("GetSubmissionLimits", "limits"),
        ("GetLeaderboard", "leaderboard"),
    ],
)
def test_what_passes_is_tried_again(
    host: KaggleHost, server: KaggleServer, waits: list[float], trouble: Fault, method: str, ask: str
) -> None:
    expected = getattr(host, ask)()
    server.faults[method] = [trouble]
    again = getattr(host, ask)()
    assert again == expected or ask == "files"  # whose dates are of now
    assert len(waits) == 1


def test_a_server_that_never_answers(host: KaggleHost, server: KaggleServer) -> None:
    server.faults["GetSubmissionLimits"] = Stall()
    with pytest.raises(HostError, match=r"no answer: could not read the limits \(ReadTimeout\)"):
        host.limits()
    assert len(server.calls) == 3


def test_no_network(host: KaggleHost, waits: list[float]) -> None:
    point_client_at("http://127.0.0.1:9")
    with pytest.raises(HostError, match="no network: could not read the limits"):
        host.limits()
    assert len(waits) == 2


# --- downloads: the way to storage; test_download.py has what happens there ---


@pytest.mark.parametrize("trouble", [nested(429, ""), flat(500, ""), HTML, Drop(), Unheard(), Stall()])
def test_an_address_is_asked_for_again(
    host: KaggleHost, server: KaggleServer, tmp_path: Path, trouble: Fault
) -> None:
    server.faults["DownloadDataFile"] = [trouble]
    got = host.download("train.7z", tmp_path / "raw", lambda _: None).path
    assert got.read_bytes() == FILES["train.7z"]


def test_a_login_page_instead_of_storage(host: KaggleHost, server: KaggleServer, tmp_path: Path) -> None:
    portal = Fault(302, b"", "text/html", (("Location", "/storage/notes.json?signed=signature-0"),))
    server.DownloadDataFile({"fileName": "notes.json"})
    server.faults["DownloadDataFile"] = [portal]
    got = host.download("train.7z", tmp_path / "raw", lambda _: None).path
    assert got.read_bytes() == FILES["train.7z"]


@pytest.mark.parametrize("packing", ["zip", "gzip"])
@pytest.mark.parametrize("name", ["my file.csv", "notes.json", "audio/first clip.wav"])
def test_what_storage_sends_packed_is_unpacked(
    host: KaggleHost, server: KaggleServer, tmp_path: Path, packing: str, name: str
) -> None:
    server.sends_packed = packing
    server.faults["storage"] = [Drop(30), Flip(60)]
    arrived = host.download(name, tmp_path / "raw", lambda _: None)
    assert arrived.path == tmp_path / "raw" / name and arrived.path.read_bytes() == FILES[name]
    assert [p for p in (tmp_path / "raw").rglob("*") if p.is_file()] == [arrived.path]


@pytest.mark.parametrize("packing", ["zip", "gzip"])
@pytest.mark.parametrize("listed", [3, 5, 10**9])
def test_what_is_unpacked_has_the_listed_size(
    host: KaggleHost, server: KaggleServer, tmp_path: Path, packing: str, listed: int
) -> None:
    server.sends_packed, server.lists = packing, {"my file.csv": listed}
    with pytest.raises(HostError, match=rf"my file\.csv, unpacked, has .* but Kaggle lists {listed:,}"):
        host.download("my file.csv", tmp_path / "raw", lambda _: None)
    assert list((tmp_path / "raw").iterdir()) == []


def test_sizes_may_be_listed_as_text(host: KaggleHost, server: KaggleServer) -> None:
    server.lists = {"train.7z": "300000", "notes.json": "many", "my file.csv": -1}
    sizes = {file.name: file.size for file in host.files()}
    assert (sizes["train.7z"], sizes["notes.json"], sizes["my file.csv"]) == (300_000, None, None)


@pytest.mark.parametrize(
    "address",
    ["http://[", "file:///etc/passwd", "ftp://127.0.0.1/x", "http://", "http://127.0.0.1:99999/?signed=secret",
     f"http://{'a' * 70}.com/?signed=secret", "http://a..b/?signed=secret", "//", "http://\u2100.com/"],
)  # fmt: skip
def test_impossible_addresses(host: KaggleHost, server: KaggleServer, tmp_path: Path, address: str) -> None:
    server.faults["DownloadDataFile"] = Fault(302, b"", "text/html", (("Location", f" {address}"),))
    with pytest.raises(HostError) as caught:
        host.download("train.7z", tmp_path / "raw", lambda _: None)
    assert "could not download train.7z" in str(caught.value)
    assert "secret" not in str(caught.value) and "passwd" not in str(caught.value)


def test_a_host_is_named_in_text_that_can_be_shown(host: KaggleHost, server: KaggleServer) -> None:
    server.competition = {"title": "A\ud800 \x1b[31mtitle\n", "evaluationMetric": "\udfffAUC"}
    server.board = [("\ud800 team \x9b1m", "0.5")]
    details = host.details()
    assert (details.title, details.metric) == ("A [31mtitle", "AUC")
    assert host.leaderboard()[0].team == "team 1m"


@pytest.mark.parametrize(
    "name",
    [
        "\u97f3\u58f0\u3000\uff11.csv",
        "a\xa0b.csv",
        "\U0001f468\u200d\U0001f466.csv",
        "tab\tand \x1b[31mred.csv",
    ],
)
def test_no_name_that_a_disk_can_have_is_refused(
    host: KaggleHost, server: KaggleServer, tmp_path: Path, name: str
) -> None:
    server.files[name] = b"a"
    assert host.download(name, tmp_path / "raw", lambda _: None).path == tmp_path / "raw" / name


def test_a_file_whose_name_no_disk_can_have(host: KaggleHost, server: KaggleServer, tmp_path: Path) -> None:
    server.files["a\ud800.csv"] = b"a"
    with pytest.raises(HostError, match="unsafe name"):
        host.download("a\ud800.csv", tmp_path / "raw", lambda _: None)


def test_a_short_download_is_not_kept(host: KaggleHost, server: KaggleServer, tmp_path: Path) -> None:
    server.short_by = 10
    with pytest.raises(HostError, match=r"train\.7z has 299,990 bytes, but Kaggle lists 300,000"):
        host.download("train.7z", tmp_path / "raw", lambda _: None)
    assert list((tmp_path / "raw").iterdir()) == []


@pytest.mark.parametrize(
    ("method", "fault", "words", "hint"),
    [
        ("storage", EXPIRED, "Kaggle's storage says 400", "new link"),
        ("DownloadDataFile", flat(403, "Rules"), "Kaggle says 403 Rules", RULES),
    ],
)
def test_a_refused_download_leaves_nothing(
    host: KaggleHost, server: KaggleServer, tmp_path: Path, method: str, fault: Fault, words: str, hint: str
) -> None:
    server.faults[method] = fault
    with pytest.raises(HostError, match=rf"could not download train\.7z: {words}") as caught:
        host.download("train.7z", tmp_path / "raw", lambda _: None)
    assert hint in str(caught.value.hint)
    assert list((tmp_path / "raw").iterdir()) == []


def test_a_download_that_failed_goes_on(host: KaggleHost, server: KaggleServer, tmp_path: Path) -> None:
    server.faults["storage"] = [Drop(200_000), Unheard(), Unheard()]
    with pytest.raises(HostError, match=r"no network: could not download train\.7z"):
        host.download("train.7z", tmp_path / "raw", lambda _: None)
    got = host.download("train.7z", tmp_path / "raw", lambda _: None).path
    assert got.read_bytes() == FILES["train.7z"]
    assert server.ranges[-1] == "bytes=200000-"


# --- submissions: all but the last step may be repeated ---


def may_have_arrived(error: BaseException | None) -> bool:
    """As submit.py judges it."""
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__
    response = getattr(error, "response", None)
    return error is not None and (response is None or response.status_code >= 500)


@pytest.mark.parametrize("method", ["StartSubmissionUpload", "upload"])
@pytest.mark.parametrize("trouble", [flat(500, ""), flat(503, ""), Drop(), Unheard(), Stall()])
def test_an_upload_is_repeated(
    host: KaggleHost, server: KaggleServer, csv: Path, method: str, trouble: Fault
) -> None:
    server.faults[method] = [trouble]
    assert host.submit(csv, "") == "1"
    assert len(server.submissions) == 1
    server.faults[method] = trouble
    with pytest.raises(HostError, match=r"could not upload submission\.csv") as caught:
        host.submit(csv, "")
    assert not may_have_arrived(caught.value)
    assert len(server.submissions) == 1


@pytest.mark.parametrize(
    ("trouble", "arrived"),
    [
        (Drop(), 1),
        (Drop(5), 1),
        (Stall(), 1),
        (Unheard(), 0),
        (flat(500, ""), 0),
        (Masked(HTML), 1),
        (Masked(Fault(200, b"{}")), 1),
    ],
)
def test_a_submission_is_never_repeated(
    host: KaggleHost, server: KaggleServer, csv: Path, trouble: Fault, arrived: int
) -> None:
    server.faults["CreateSubmission"] = trouble
    with pytest.raises(HostError) as caught:
        host.submit(csv, "")
    assert may_have_arrived(caught.value)
    assert (server.calls.count("CreateSubmission"), len(server.submissions)) == (1, arrived)


def test_a_submission_that_is_refused(host: KaggleHost, server: KaggleServer, csv: Path) -> None:
    server.faults["CreateSubmission"] = flat(400, "Your team has used its submission allowance (5 of 5).")
    with pytest.raises(
        HostError, match=r"could not submit: Kaggle says 400 Your team .* \(5 of 5\)\."
    ) as caught:
        host.submit(csv, "")
    assert not may_have_arrived(caught.value)


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("Your team has used its submission allowance (5 of 5).", "no submission is left for now"),
        ("Submission file exceeds the size limit.", "check the file, the deadline"),
        ("The maximum for a submission is 100MB", "check the file, the deadline"),
    ],
)
def test_a_limit_of_size_is_not_the_days(
    host: KaggleHost, server: KaggleServer, csv: Path, words: str, hint: str
) -> None:
    server.faults["CreateSubmission"] = flat(400, words)
    with pytest.raises(HostError) as caught:
        host.submit(csv, "")
    assert hint in str(caught.value.hint)


def test_a_failed_upload_is_an_error(host: KaggleHost, server: KaggleServer, csv: Path) -> None:
    server.faults["upload"] = Fault(400, b"")
    with pytest.raises(HostError, match=r"could not upload submission\.csv: Kaggle's storage says 400"):
        host.submit(csv, "")
    assert "CreateSubmission" not in server.calls


def test_the_grader_says_what_is_wrong(host: KaggleHost, server: KaggleServer, csv: Path) -> None:
    ref = host.submit(csv, "")
    assert host.submission(ref).status == "PENDING"
    server.submissions[0] |= {"status": "ERROR", "errorDescription": "Missing\nids", "polls": 9}
    state = host.submission(ref)
    assert (state.status, state.error, state.public) == ("ERROR", "Missing ids", None)


def test_a_key_that_cannot_be_sent_is_not_shown() -> None:
    with pytest.raises(HostError, match="the API key contains a character") as caught, explained("sign in"):
        requests.get("http://127.0.0.1:9", headers={"A": "secret\n"}, timeout=1)
    assert "secret" not in f"{caught.value} {caught.value.hint} {caught.value.__cause__}"
