"""Storages that cannot be used say why, and what to do."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import optuna
import pytest
from support import tiny

from kagglekit.config.load import load_config
from kagglekit.errors import KagglekitError
from kagglekit.files.workspace import Workspace
from kagglekit.search.storage import FileLocks, close_storage, driven, open_storage


def refused(tmp_path: Path, address: str) -> KagglekitError:
    """What opening the storage ends in."""
    yaml = tiny.make(tmp_path / "tiny")
    config = load_config(yaml, [f"search.storage={address}"])
    with pytest.raises(KagglekitError) as caught:
        open_storage(Workspace(config), "gru")
    return caught.value


def test_a_database_of_another_optuna(tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    close_storage(optuna.storages.RDBStorage(f"sqlite:///{path}"))
    database = sqlite3.connect(path)
    with database:
        database.execute("UPDATE alembic_version SET version_num = 'v0.9.0.a'")
    database.close()
    error = refused(tmp_path, f"sqlite:///{path}")
    assert str(error).startswith("search.storage cannot be opened: The runtime optuna version ")
    assert error.hint == "optuna storage upgrade --storage URL, or name another"


def test_a_database_that_is_locked(tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    database = sqlite3.connect(path)
    database.execute("BEGIN EXCLUSIVE")
    error = refused(tmp_path, f"'sqlite:///{path}?timeout=0.1'")
    database.close()
    assert "database is locked" in str(error)
    assert error.hint == "another program holds it: wait or end that one, then run the same command again"


def test_a_database_that_is_read_only(tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    sqlite3.connect(path).close()
    error = refused(tmp_path, f"'sqlite:///file:{path}?mode=ro&uri=true'")
    assert "readonly" in str(error)
    assert error.hint == "make it writable, or name another search.storage"


def test_an_address_of_nothing(tmp_path: Path) -> None:
    error = refused(tmp_path, "nowhere")
    assert str(error).startswith("search.storage cannot be opened: ") and error.hint == "check search.storage"


def test_a_driver_that_is_not_installed(tmp_path: Path) -> None:
    error = refused(tmp_path, "postgresql+pg8000://127.0.0.1/x")
    assert error.hint == "pip install 'kagglekit[cluster]', or leave search.storage out"


def test_the_driver_of_postgresql_is_named() -> None:
    assert driven("postgresql://a@b/c") == "postgresql+psycopg://a@b/c"
    assert driven("postgresql+psycopg2://a@b/c") == "postgresql+psycopg2://a@b/c"
    assert driven("sqlite:///postgresql://") == "sqlite:///postgresql://"


def test_file_locks_are_held_by_one(tmp_path: Path) -> None:
    mine, theirs = FileLocks(tmp_path), FileLocks(tmp_path)
    with mine.hold("study/trial_0"):
        with theirs.take("study/trial_0") as free:
            assert not free
        with theirs.take("study/trial_1") as free:
            assert free
    with theirs.take("study/trial_0") as free:
        assert free
