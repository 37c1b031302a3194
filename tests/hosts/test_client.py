"""Signing in by the real client, in processes of their own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.kaggle_server import HTML, KEY, USER, Drop, Fault, KaggleServer, Stall, flat, nested
from support.sign_in import sign_in_apart


def test_signed_in_and_quiet_even_if_verbose(bare: dict[str, str]) -> None:
    _, listing, _ = sign_in_apart(
        bare | {"KAGGLE_API_TOKEN": KEY, "VERBOSE": "1"}
    )  # which looks for the key everywhere
    assert listing == "5\n"


def test_not_signed_in(bare: dict[str, str]) -> None:
    found, listing, problems = sign_in_apart(bare)
    assert (found, listing) == ("None False", "")
    assert problems.startswith("not signed in to Kaggle: no credential found|")
    assert len(problems.splitlines()) == 4  # three on how to get one


def test_not_signed_in_where_python_has_no_exit(bare: dict[str, str]) -> None:
    """As in IPython: the client calls `exit`, which is there for people at a terminal alone."""
    _, listing, problems = sign_in_apart(bare, "-S")
    assert listing == "" and problems.startswith("not signed in to Kaggle: no credential found|")


def test_a_bad_token_beside_a_good_key(bare: dict[str, str]) -> None:
    """The client would sign in by the key, and then send the token."""
    _, listing, problems = sign_in_apart(
        bare | {"KAGGLE_API_TOKEN": "bad", "KAGGLE_USERNAME": USER, "KAGGLE_KEY": KEY}
    )
    assert listing == ""
    assert problems.startswith("Kaggle rejects the access token in KAGGLE_API_TOKEN|")


def test_a_refused_login_says_what_became_of_its_file(bare: dict[str, str]) -> None:
    path = Path(bare["HOME"], ".kaggle", "credentials.json")
    path.parent.mkdir()
    path.write_text(json.dumps({"refresh_token": "withdrawn", "username": USER, "scopes": []}))
    _, _, problems = sign_in_apart(bare)
    assert problems.startswith(
        f"Kaggle rejects the OAuth login in {path}|Kaggle's client has removed that file"
    )
    assert not path.exists() and "kaggle auth login" in problems


def test_a_bad_key(bare: dict[str, str]) -> None:
    _, _, problems = sign_in_apart(bare | {"KAGGLE_USERNAME": USER, "KAGGLE_KEY": "bad"})
    assert problems.startswith("could not list the files: Kaggle says 401 Unauthenticated|Kaggle rejects")


@pytest.mark.parametrize("trouble", [nested(429, ""), flat(500, ""), HTML, Drop(), Stall()])
def test_signing_in_is_tried_again(server: KaggleServer, bare: dict[str, str], trouble: Fault) -> None:
    server.faults["IntrospectToken"] = [trouble]
    _, listing, problems = sign_in_apart(bare | {"KAGGLE_API_TOKEN": KEY})
    assert listing == "5\n"
    assert problems.startswith("could not sign in (") and "; trying again in 0.0 s" in problems


def test_a_server_that_stalls_while_signing_in(server: KaggleServer, bare: dict[str, str]) -> None:
    server.faults["IntrospectToken"] = Stall()
    *_, problem = sign_in_apart(bare | {"KAGGLE_API_TOKEN": KEY})[2].splitlines()
    assert problem.startswith("no answer: could not sign in (ReadTimeout)|")


def test_no_network_while_signing_in(bare: dict[str, str]) -> None:
    *_, problem = sign_in_apart(bare | {"KAGGLE_API_TOKEN": KEY, "http_proxy": "http://127.0.0.1:9"})[
        2
    ].splitlines()
    assert problem.startswith("no network: could not sign in (ProxyError)|")


def test_a_folder_the_client_cannot_make(bare: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    _, _, problems = sign_in_apart(bare | {"KAGGLE_CONFIG_DIR": str(tmp_path / "file" / "kaggle")})
    assert problems.startswith("Kaggle's client does not start: ")
    assert "KAGGLE_CONFIG_DIR" in problems
