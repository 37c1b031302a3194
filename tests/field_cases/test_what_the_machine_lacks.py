"""Machines without a home, shared memory or file locks, and credentials that are none."""

from __future__ import annotations

import pytest
from support.field_case import FieldCase


def test_kaggle_json_that_is_none(case: FieldCase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    for home, words in {
        "bom": "byte order mark",
        "config": "username",
        "html": "not JSON",
        "bare": "not JSON",
        "folder": "folder",
        "env": "KAGGLE_KEY",
    }.items():
        monkeypatch.setenv("HOME", str(case.folder / "homes" / home))
        if home == "env":
            monkeypatch.setenv("KAGGLE_USERNAME", "somebody")
        for verb in ("doctor", "fetch"):
            done = case.kk(verb, "--set", "network.tries=1")
            shown = done.out + done.err
            assert done.code == 1 and words in shown, shown
            assert home == "env" or "kaggle.json" in shown
            assert "none found" not in shown and "there is no credential" not in shown
            assert "pip install kaggle" not in shown and "0000000000" not in shown
