"""What every test starts from: an empty home, no credentials, and a tiny competition on request."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.places import SHARED

# Two threads are no quicker for so small networks, and wait in loops that take the processor from other work:
# beside eight busy processes, trainings took four times as long as with one.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TQDM_DISABLE"] = "1"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No test reads or writes the home, the current folder or the credentials of whoever runs it."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("HF_HOME", str(home / "hf"))
    for name in [name for name in os.environ if name.startswith("KAGGLE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("KAGGLE_API_ENVIRONMENT", "LOCALHOST")  # the client reads it once, when it is imported
    monkeypatch.chdir(tmp_path)
    from kagglekit.terminal import console

    console.configure(quiet=True)
    console.out.cache_clear()
    console.err.cache_clear()
    yield
    console.configure()


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that reaches for the network fails, and says so."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        if self.family != socket.AF_UNIX and isinstance(address, tuple):
            assert address[0] in ("127.0.0.1", "localhost", "::1"), f"a test wants to reach {address}"
        connect(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture
def speech_mini() -> Path:
    """The real competition beside the repository."""
    folder = SHARED / "data" / "speech-mini"
    if not (folder / "train.7z").is_file():
        pytest.skip("../shared/data/speech-mini is missing")
    return folder
