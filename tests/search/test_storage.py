"""Storages that cannot be used say why, and what to do."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import optuna
import pytest
from support import tiny

from kagglekit.config.load import load_config
from kagglekit.errors import ConfigError, KagglekitError
from kagglekit.files.workspace import Workspace
from kagglekit.search.storage import close_storage, open_storage


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
    assert (
        error.hint == "another program has locked it: wait for it or end it, then run the same command again"
    )


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


@pytest.mark.parametrize(
    ("address", "opened"),
    [
        ("sqlite:///study.db", "sqlite:///{}/study.db"),
        ("sqlite:///below/study.db?timeout=3", "sqlite:///{}/below/study.db?timeout=3"),
        ("sqlite:///file:study.db?mode=ro&uri=true", "sqlite:///file:{}/study.db?mode=ro&uri=true"),
        ("sqlite:////study.db", "sqlite:////study.db"),
        ("postgresql://host/db", "postgresql://host/db"),
    ],
)
def test_a_path_is_relative_to_the_folder_of_the_yaml(tmp_path: Path, address: str, opened: str) -> None:
    yaml = tiny.make(tmp_path / "tiny")
    config = load_config(yaml, [f"search.storage='{address}'"])
    assert config.search.storage == opened.format(yaml.parent)


@pytest.mark.parametrize("address", ["sqlite://", "sqlite:///:memory:", "sqlite:///"])
def test_a_database_in_memory_keeps_nothing(tmp_path: Path, address: str) -> None:
    with pytest.raises(ConfigError, match="a database in memory is gone when the search ends"):
        load_config(tiny.make(tmp_path / "tiny"), [f"search.storage='{address}'"])
