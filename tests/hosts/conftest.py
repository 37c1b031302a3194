"""Fixtures of the host tests: a loopback Kaggle, and the way to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.kaggle_server import KaggleServer, point_client_at
from support.sign_in import FILES, SOLUTION

from kagglekit.hosts.client import Client, sign_in


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
def bare(server: KaggleServer, tmp_path: Path) -> dict[str, str]:
    """The way to the server, without a credential."""
    environment = server.environment(str(tmp_path / "bare"))
    (tmp_path / "bare").mkdir()
    return {k: v for k, v in environment.items() if k not in ("KAGGLE_USERNAME", "KAGGLE_KEY")}
