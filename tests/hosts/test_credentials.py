"""Which credential is used, and that the client signs in with the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from support.kaggle_server import KEY, USER
from support.sign_in import sign_in_apart

from kagglekit.hosts.credentials import Credential, broken, credential


def place_file(home: Path, name: str, text: str) -> dict[str, str]:
    """Write a credential's file; the variables that it needs: none."""
    path = home / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o600)
    return {}


LEGACY = json.dumps({"username": USER, "key": KEY})

LOGIN = {"refresh_token": "refresh-0123456789abcdef", "username": USER, "scopes": []}

FRESH = {"access_token": KEY, "access_token_expiration": "2100-01-01T00:00:00+00:00"}

STALE = {"access_token": "stale", "access_token_expiration": "2001-01-01T00:00:00+00:00"}

NOTEBOOK = {"KAGGLE_KERNEL_RUN_TYPE": "Batch", "KAGGLE_DATA_PROXY_URL": "http://localhost"}

MEANS: dict[str, tuple[str, str, Callable[[Path], dict[str, str]]]] = {
    "token in the environment": ("access token", "KAGGLE_API_TOKEN", lambda home: {"KAGGLE_API_TOKEN": KEY}),
    "token in a named file": (
        "access token",
        "KAGGLE_API_TOKEN",
        lambda home: place_file(home, "my token", KEY + "\n") | {"KAGGLE_API_TOKEN": str(home / "my token")},
    ),
    "token file": (
        "access token",
        ".kaggle/access_token",
        lambda home: place_file(home, ".kaggle/access_token", KEY),
    ),
    "token file of Windows": (
        "access token",
        ".kaggle/access_token.txt",
        lambda home: place_file(home, ".kaggle/access_token.txt", KEY),
    ),
    "token of a notebook": (
        "access token",
        "KAGGLE_API_V1_TOKEN",
        lambda home: (
            place_file(home, "v1", KEY)
            | NOTEBOOK
            | {"KAGGLE_API_V1_TOKEN": str(home / "v1"), "KAGGLE_API_TOKEN": "bad"}
        ),
    ),
    "name and key": ("API key", "KAGGLE_KEY", lambda home: {"KAGGLE_USERNAME": USER, "KAGGLE_KEY": KEY}),
    "kaggle.json": (
        "API key",
        ".kaggle/kaggle.json",
        lambda home: place_file(home, ".kaggle/kaggle.json", LEGACY),
    ),
    "kaggle.json of XDG": (
        "API key",
        ".config/kaggle/kaggle.json",
        lambda home: place_file(home, ".config/kaggle/kaggle.json", LEGACY),
    ),
    "kaggle.json elsewhere": (
        "API key",
        "there/kaggle.json",
        lambda home: (
            place_file(home, "there/kaggle.json", LEGACY) | {"KAGGLE_CONFIG_DIR": str(home / "there")}
        ),
    ),
    "login": (
        "OAuth login",
        ".kaggle/credentials.json",
        lambda home: place_file(home, ".kaggle/credentials.json", json.dumps(LOGIN | FRESH)),
    ),
    "login to be renewed": (
        "OAuth login",
        ".kaggle/credentials.json",
        lambda home: place_file(home, ".kaggle/credentials.json", json.dumps(LOGIN | STALE)),
    ),
}


@pytest.mark.parametrize("means", MEANS)
def test_every_means_to_sign_in(bare: dict[str, str], tmp_path: Path, means: str) -> None:
    kind, where, place = MEANS[means]
    found, listing, problems = sign_in_apart(bare | place(tmp_path / "bare"))
    where = f"{tmp_path}/bare/{where}" if "/" in where else where
    assert found == f"{Credential(kind, where)} False"
    assert (listing, problems) == ("5\n", "")


def test_credentials_that_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    place_file(home, ".kaggle/access_token", "  \n")
    place_file(home, ".kaggle/kaggle.json", "{ damaged")
    place_file(home, ".kaggle/credentials.json", "[]")
    assert credential() is None
    place_file(home, ".kaggle/kaggle.json", '{"key": "no name"}')
    assert credential() is None
    monkeypatch.setenv("KAGGLE_USERNAME", USER)
    assert credential() == Credential("API key", str(home / ".kaggle" / "kaggle.json"))
    monkeypatch.setenv("KAGGLE_API_TOKEN", "x" * 5000)
    assert credential() == Credential("access token", "KAGGLE_API_TOKEN")


@pytest.mark.parametrize(
    ("name", "data", "what"),
    [
        ("kaggle.json", b"\xef\xbb\xbf" + LEGACY.encode(), "begins with a byte order mark (BOM)"),
        ("kaggle.json", LEGACY.encode("utf-16"), "is UTF-16"),
        ("kaggle.json", LEGACY[:-9].encode(), "is not JSON"),
        ("kaggle.json", b"<!DOCTYPE html>", "is a web page, not JSON"),
        ("kaggle.json", b'["a", "b"]', "is a JSON list, not an object"),
        ("kaggle.json", b"", "is empty"),
        ("kaggle.json", b'{"username": "a", "key": ""}', "has no key"),
        ("kaggle.json", b'{"path": "/data"}', "has no username and no key"),
        ("credentials.json", b'{"username": "a"}', "has no refresh_token"),
        ("access_token", b"\n", "is empty"),
        ("access_token", KEY.encode("utf-16"), "is UTF-16"),
    ],
)
def test_a_credential_that_is_broken(name: str, data: bytes, what: str) -> None:
    path = Path.home() / ".kaggle" / name
    path.parent.mkdir()
    assert broken() is None
    path.write_bytes(data)
    assert credential() is None
    fault = broken()
    assert fault is not None and fault[0].startswith(f"{path} {what}")
    assert KEY not in str(fault)


def test_half_a_credential(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAGGLE_KEY", KEY)
    assert broken() == (
        "KAGGLE_KEY is set, and KAGGLE_USERNAME is not",
        "set KAGGLE_USERNAME, too, or unset KAGGLE_KEY",
    )
