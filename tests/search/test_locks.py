"""Locks by name, each held by one process at a time."""

from __future__ import annotations

from pathlib import Path

from kagglekit.search.locks import FileLocks, with_driver


def test_the_driver_of_postgresql_is_named() -> None:
    assert with_driver("postgresql://a@b/c") == "postgresql+psycopg://a@b/c"
    assert with_driver("postgresql+psycopg2://a@b/c") == "postgresql+psycopg2://a@b/c"
    assert with_driver("sqlite:///postgresql://") == "sqlite:///postgresql://"


def test_file_locks_are_held_by_one(tmp_path: Path) -> None:
    mine, theirs = FileLocks(tmp_path), FileLocks(tmp_path)
    with mine.hold("study/trial_0"):
        with theirs.hold("study/trial_0", wait=False) as free:
            assert not free
        with theirs.hold("study/trial_1", wait=False) as free:
            assert free
    with theirs.hold("study/trial_0", wait=False) as free:
        assert free
