"""One file from the loopback storage, whatever happens on the way."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from support.kaggle_server import EXPIRED, HTML, Drop, Fault, Flip, KaggleServer, Short, Stall, Unheard, flat

from kagglekit.config import Network
from kagglekit.hosts.download import Download, Origin, PartialFile
from kagglekit.hosts.replies import DamagedDownloadError, StorageError, UnreadableError
from kagglekit.hosts.retry import Retry

NAME, DATA = "my train.7z", os.urandom(300_000)


class Fetching:
    """A download into `part`, and what it asked for."""

    def __init__(self, server: KaggleServer, part: Path, size: int | None = len(DATA)) -> None:
        self.server, self.part, self.size = server, PartialFile(part), size
        self.signed, self.told = 0, 0
        self.waits: list[float] = []

    def sign(self) -> str:
        self.signed += 1
        headers = dict(self.server.DownloadDataFile({"fileName": NAME}).headers)
        return self.server.address + headers["Location"]

    def advance(self, n: int) -> None:
        self.told += n

    def run(self, tries: int = 3, timeout_s: float = 5) -> bytes:
        retry = Retry(Network(tries=tries, timeout_s=timeout_s), self.waits.append)
        Download(NAME, self.sign, self.part, self.size, self.advance, retry).run()
        return self.part.path.read_bytes()


@pytest.fixture
def server() -> Iterator[KaggleServer]:
    with KaggleServer(files={NAME: DATA}) as server:
        yield server


@pytest.fixture
def fetching(server: KaggleServer, tmp_path: Path) -> Fetching:
    return Fetching(server, tmp_path / "part")


@pytest.mark.parametrize("at", [0, 1, 999, 65_537, 299_999])
@pytest.mark.parametrize("reset", [False, True])
def test_a_drop_loses_no_byte(server: KaggleServer, fetching: Fetching, at: int, reset: bool) -> None:
    server.faults["storage"] = [Drop(at, reset)]
    assert fetching.run() == DATA
    # a reset may discard what has come but was not read yet; what was read is never asked for again
    assert server.ranges[1] == (f"bytes={at}-" if at else "") or reset
    assert (fetching.told, fetching.signed, len(fetching.waits)) == (len(DATA), 1, 1)


def test_drop_after_drop_as_long_as_bytes_come(server: KaggleServer, fetching: Fetching) -> None:
    server.faults["storage"] = [Drop(100) for _ in range(20)]
    assert fetching.run(tries=2) == DATA
    assert server.ranges[1:21] == [f"bytes={100 * i}-" for i in range(1, 21)]


def test_tries_without_a_new_byte_are_counted(server: KaggleServer, fetching: Fetching) -> None:
    server.faults["storage"] = [Drop(100), *[Drop(0)] * 9]
    with pytest.raises(requests.ConnectionError):
        fetching.run(tries=3)
    assert len(server.ranges) == 3
    assert fetching.part.path.read_bytes() == DATA[:100]
    server.faults.clear()
    again = Fetching(server, fetching.part.folder)
    assert again.run() == DATA
    assert (server.ranges[-1], again.told) == ("bytes=100-", len(DATA))


def test_a_stall_times_out_and_goes_on(server: KaggleServer, fetching: Fetching) -> None:
    server.faults["storage"] = [Stall(), Stall(70_000)]
    assert fetching.run(timeout_s=0.2) == DATA
    assert server.ranges[2] == "bytes=70000-"


@pytest.mark.parametrize("trouble", [EXPIRED, Fault(403, b""), Fault(404, b""), Fault(401, b"")])
def test_an_expired_address_is_signed_anew(server: KaggleServer, fetching: Fetching, trouble: Fault) -> None:
    server.faults["storage"] = [Drop(70_000), trouble]
    assert fetching.run() == DATA
    assert server.ranges[-1] == "bytes=70000-"
    assert (fetching.signed, len(fetching.waits)) == (2, 1)  # no wait for what a signature cures


def test_an_address_for_one_use(server: KaggleServer, fetching: Fetching) -> None:
    server.url_uses = 1
    server.faults["storage"] = [Drop(50_000), None, Drop(50_000), None, Drop(50_000)]
    assert fetching.run() == DATA


def test_storage_that_refuses_every_address(server: KaggleServer, fetching: Fetching) -> None:
    server.faults["storage"] = EXPIRED
    with pytest.raises(StorageError):
        fetching.run(tries=3)
    assert (fetching.signed, len(fetching.waits)) == (3, 2)
    assert not fetching.part.path.exists()


@pytest.mark.parametrize(
    "trouble", [HTML, flat(500, ""), flat(503, ""), flat(429, ""), Unheard(), Short(9), Flip(9)]
)
def test_what_passes(server: KaggleServer, fetching: Fetching, trouble: Fault) -> None:
    server.faults["storage"] = [Drop(50_000), trouble]
    assert fetching.run() == DATA
    assert fetching.told == len(DATA)


@pytest.mark.parametrize(
    ("trouble", "error", "words"),
    [
        (Short(10), DamagedDownloadError, "has 299,990 bytes, but Kaggle lists 300,000"),
        (Flip(7), DamagedDownloadError, "do not match its MD5"),
        (HTML, UnreadableError, "a web page"),
    ],
)
def test_what_does_not_pass(
    server: KaggleServer, fetching: Fetching, trouble: Fault, error: type[Exception], words: str
) -> None:
    server.faults["storage"] = trouble
    with pytest.raises(error, match=words):
        fetching.run(tries=2)
    assert not fetching.part.path.exists()


def test_good_bytes_are_not_given_up_for_a_web_page(server: KaggleServer, fetching: Fetching) -> None:
    server.faults["storage"] = [Drop(70_000), HTML, HTML, HTML]
    with pytest.raises(UnreadableError):
        fetching.run(tries=3)
    assert fetching.part.path.read_bytes() == DATA[:70_000]


def test_storage_asks_for_a_pause(server: KaggleServer, fetching: Fetching) -> None:
    server.faults["storage"] = [flat(429, "", ("Retry-After", "100"))]
    assert fetching.run() == DATA
    assert fetching.waits == [100]


def test_storage_without_ranges(server: KaggleServer, fetching: Fetching) -> None:
    server.takes_ranges = False
    server.faults["storage"] = [Drop(70_000)]
    assert fetching.run() == DATA
    assert fetching.told == len(DATA)


def test_a_file_that_changed_meanwhile(server: KaggleServer, fetching: Fetching) -> None:
    server.faults["storage"] = [Drop(70_000), Drop(0), Drop(0)]
    with pytest.raises(requests.ConnectionError):
        fetching.run()
    server.files[NAME] = os.urandom(len(DATA))
    again = Fetching(server, fetching.part.folder)
    assert again.run() == server.files[NAME]
    assert again.told == len(DATA)


def test_a_size_that_nobody_lists(server: KaggleServer, tmp_path: Path) -> None:
    server.faults["storage"] = [Drop(70_000)]
    assert Fetching(server, tmp_path / "part", size=None).run() == DATA


@pytest.mark.parametrize("note", ["", "{", "[]", '{"etag": "x"}'])
def test_bytes_of_unknown_origin_are_not_used(server: KaggleServer, fetching: Fetching, note: str) -> None:
    fetching.part.folder.mkdir()
    fetching.part.path.write_bytes(b"x" * 1000)
    fetching.part.path.with_name("origin.json").write_text(note)
    assert fetching.run() == DATA
    assert server.ranges == [""]


@pytest.mark.parametrize("have", [len(DATA), len(DATA) + 5])
def test_killed_after_the_last_byte(server: KaggleServer, fetching: Fetching, have: int) -> None:
    fetching.part.start(Origin(server.etag(DATA), len(DATA), ""))
    fetching.part.path.write_bytes((DATA + b"extra")[:have])
    assert fetching.run() == DATA
    assert len(server.ranges) == (0 if have == len(DATA) else 2)


@pytest.mark.parametrize("seed", range(5))
def test_any_mixture_of_troubles(server: KaggleServer, fetching: Fetching, seed: int) -> None:
    rng = random.Random(seed)
    kinds = [
        Drop(rng.randrange(100_000)),
        Drop(0, True),
        Unheard(),
        HTML,
        EXPIRED,
        flat(500, ""),
        Flip(5),
        Short(1),
    ]
    server.faults["storage"] = rng.choices(kinds, k=10)
    assert fetching.run(tries=12) == DATA
    assert fetching.told == len(DATA)
