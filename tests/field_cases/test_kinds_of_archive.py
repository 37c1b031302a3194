"""Archives that other programs made: what is not supported is not damaged."""

from __future__ import annotations

import shutil

import pytest
from support.field_case import FieldCase


def test_deflate64_and_zstd(case: FieldCase) -> None:
    case.good("fetch")
    case.good("prepare")
    assert len(case.clips()) == 32 and len(case.clips("test")) == 24


def test_tar_gz(case: FieldCase) -> None:
    case.good("fetch")
    case.good("prepare")
    assert len(case.clips()) == 32 and len(case.clips("test")) == 24
    case.up_to_a_score()


def test_split_zip(case: FieldCase) -> None:
    case.good("fetch")
    case.good("prepare")
    assert len(case.clips()) == 32


def test_7z_with_a_newer_filter(case: FieldCase, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("7zz") or shutil.which("7z"):
        case.good("fetch")
        case.good("prepare")
        assert len(case.clips()) == 32
    shutil.rmtree(case.folder / ".kagglekit", ignore_errors=True)
    monkeypatch.setenv("PATH", "/nonexistent")
    failed = case.bad("fetch")
    assert "ARM64" in failed.message and "7-Zip" in failed.hint
    assert "damaged" not in failed.err and "fetch it again" not in failed.err
