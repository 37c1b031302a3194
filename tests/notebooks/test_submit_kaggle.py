"""A built notebook submitted to Kaggle, through its real client, against a loopback server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.kaggle_server import KaggleServer
from support.notebook_site import KERNEL, NotebookSite, server


@pytest.fixture
def kaggle() -> Iterator[KaggleServer]:
    with server() as kaggle:
        yield kaggle


def test_pushed_run_submitted_and_scored(kaggle: KaggleServer, tmp_path: Path) -> None:
    site = NotebookSite(tmp_path / "site", kaggle)
    done = site.submit()
    assert done.code == 0, done.err
    assert "sent as 1: public 0.97500" in done.out
    site.check_submitted()
    assert len(kaggle.kernels[KERNEL]) == 1
    assert "submitted before" in site.submit().message
