"""Find the credential that Kaggle's client will use, without importing the client."""

import codecs
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

TOKEN = "access token"
NOWHERE = Path(os.devnull, "no-home")


class Credential(NamedTuple):
    """The kind of a credential, and the variable or file that contains it; never its value."""

    kind: str
    """"access token", "API key" or "OAuth login"."""
    where: str


def credential() -> Credential | None:
    """Return the credential that the client will use, searched in the client's order; None without one."""
    home = home_folder() / ".kaggle"
    token = _notebook_token() or _environment_token() or _token_file(home)
    if token:
        return Credential(TOKEN, token)
    key = _key()
    if key:
        return Credential("API key", key)
    login = home / "credentials.json"
    return Credential("OAuth login", str(login)) if _json(login).get("refresh_token") else None


def broken() -> tuple[str, str] | None:
    """Return what is wrong with a credential that is there, and the remedy; None where there is none at all.

    Asked where `credential` finds none. No part of a credential is shown.
    """
    for here, other in (("KAGGLE_USERNAME", "KAGGLE_KEY"), ("KAGGLE_KEY", "KAGGLE_USERNAME")):
        if os.environ.get(here) and not os.environ.get(other):
            return f"{here} is set, and {other} is not", f"set {other}, too, or unset {here}"
    home, remedy = home_folder() / ".kaggle", "download it again: kaggle.com > Settings > API"
    saved = {
        config_folder() / "kaggle.json": ("username", "key"),
        home / "credentials.json": ("refresh_token",),
    }
    for path, keys in saved.items():
        what = _fault(path) or _lacking(path, keys)
        if what and os.path.lexists(path):
            return (
                f"{path} {what}",
                remedy if path.name == "kaggle.json" else "sign in again: kaggle auth login",
            )
    for path in (home / "access_token", home / "access_token.txt"):
        if os.path.lexists(path) and (what := _fault(path, is_json=False)):
            return f"{path} {what}", "save the token alone there: kaggle.com > Settings > API"
    return None


def _fault(path: Path, *, is_json: bool = True) -> str:
    """Return why a file cannot be read as what it should be; "" where it can."""
    if path.is_dir():
        return "is a folder, not a file"
    try:
        data = path.read_bytes()
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "is UTF-16; it must be UTF-8"
    if data.startswith(codecs.BOM_UTF8):
        return "begins with a byte order mark (BOM); save it as UTF-8 without one"
    if not data.strip():
        return "is empty"
    if not is_json:
        return ""
    if data.lstrip().startswith(b"<"):
        return "is a web page, not JSON"
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return "is not JSON"
    return "" if isinstance(value, dict) else f"is a JSON {type(value).__name__}, not an object"


def _lacking(path: Path, keys: Sequence[str]) -> str:
    """Return which entries a JSON file has not, or has empty; "" where it has all."""
    saved = _json(path)
    without = [key for key in keys if not saved.get(key)]
    return f"has no {' and no '.join(without)}" if without else ""


def home_folder() -> Path:
    """Return the home folder; NOWHERE, at which nothing can be, where HOME is not set and no user known."""
    try:
        return Path.home()
    except RuntimeError:
        return NOWHERE


def _notebook_token() -> str | None:
    """Look for the session token of a Kaggle notebook, which comes first inside one."""
    path = os.environ.get("KAGGLE_API_V1_TOKEN", "")
    inside = "KAGGLE_KERNEL_RUN_TYPE" in os.environ and "KAGGLE_DATA_PROXY_URL" in os.environ
    return "KAGGLE_API_V1_TOKEN" if inside and _text(Path(path)) else None


def _environment_token() -> str | None:
    """Look in KAGGLE_API_TOKEN, which contains the token or names a file with it."""
    value = os.environ.get("KAGGLE_API_TOKEN", "")
    token = _text(Path(value)) if _exists(value) else value
    return "KAGGLE_API_TOKEN" if token else None


def _token_file(home: Path) -> str | None:
    """Look in the token files, unless KAGGLE_API_TOKEN is set, even to an empty file."""
    if os.environ.get("KAGGLE_API_TOKEN"):
        return None
    return next((str(p) for p in (home / "access_token", home / "access_token.txt") if _text(p)), None)


def _key() -> str | None:
    """Look for a user name and a key. Each variable takes precedence over its entry in kaggle.json."""
    path = config_folder() / "kaggle.json"
    saved = _json(path)
    named = "KAGGLE_USERNAME" in os.environ or "username" in saved
    if named and "KAGGLE_KEY" in os.environ:
        return "KAGGLE_KEY"
    return str(path) if named and saved.get("key") else None


def config_folder() -> Path:
    """Return the folder of kaggle.json. Tokens and logins are always in ~/.kaggle."""
    home = home_folder() / ".kaggle"
    if folder := os.environ.get("KAGGLE_CONFIG_DIR"):
        return Path(folder)
    if sys.platform.startswith("linux") and not home.exists():
        return Path(os.environ.get("XDG_CONFIG_HOME") or home_folder() / ".config", "kaggle")
    return home


def _exists(name: str) -> bool:
    try:
        return bool(name) and Path(name).exists()
    except OSError:  # a token that is too long for a file name
        return False


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""


def _json(path: Path) -> dict[str, object]:
    try:
        data = json.loads(_text(path))
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}
