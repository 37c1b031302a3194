"""Find Hugging Face checkpoints in the cache or download them, without code and without pickles."""

import hashlib
import json
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from huggingface_hub import HfApi, hf_hub_download, snapshot_download
from huggingface_hub.constants import HF_HUB_CACHE
from huggingface_hub.errors import RepositoryNotFoundError
from huggingface_hub.utils import httpx  # type: ignore[attr-defined]  # the copy that transformers uses, too

from kagglekit.errors import ConfigError, KagglekitError
from kagglekit.files.keys import key_of

FILES = ("config.json", "preprocessor_config.json", "*.safetensors", "*.safetensors.index.json")
"""The files of a checkpoint that are downloaded."""
SETTINGS = ("config.json", "preprocessor_config.json")
"""The files that a checkpoint needs beside its weights; those of a timm network need none."""


def find(checkpoint: str, settings: Sequence[str] = SETTINGS) -> Path:
    """Return a checkpoint's folder: on this machine, or else downloaded.

    Args:
        settings: the files that it needs beside its weights.

    Raises:
        KagglekitError: as `download`.
    """
    return local_folder(checkpoint, settings) or download(checkpoint, settings)


def find_file(name: str) -> Path:
    """Return a file: `name` itself, or OWNER/REPO/FILE from the hub or its cache.

    Raises:
        KagglekitError: it is neither.
    """
    if Path(name).is_file():
        return Path(name)
    owner, _, rest = name.partition("/")
    repository, _, file = rest.partition("/")
    try:
        return Path(hf_hub_download(f"{owner}/{repository}", file))
    except (OSError, ValueError, httpx.HTTPError) as error:
        raise KagglekitError(
            f"'{name}' is neither a file nor, as OWNER/REPO/FILE, on the hub or in its cache",
            hint="check the path, or run `kagglekit fetch --checkpoints` with a network",
        ) from error


def local_folder(checkpoint: str, settings: Sequence[str] = SETTINGS) -> Path | None:
    """Return a checkpoint's folder: `checkpoint` itself, or from the cache; None if it is neither."""
    if Path(checkpoint).is_dir():
        return Path(checkpoint)
    # Any revision will do: main, or the pull request that download() chose.
    snapshots = Path(HF_HUB_CACHE, f"models--{checkpoint.replace('/', '--')}", "snapshots")
    cached = [folder for folder in snapshots.glob("*") if not _missing(folder, settings)]
    return max(cached, key=lambda f: f.stat().st_mtime, default=None)


def download(checkpoint: str, settings: Sequence[str] = SETTINGS) -> Path:
    """Download a checkpoint's settings and weights from the hub into the Hugging Face cache.

    Raises:
        KagglekitError: the checkpoint or the network is missing, or a file, such as weights without pickles.
    """
    try:
        folder = _snapshot(checkpoint)
        if _missing(folder, settings):
            # Old checkpoints have pickles alone; a bot of the hub offers safetensors as a pull request.
            offers = HfApi().get_repo_discussions(
                checkpoint, author="SFconvertbot", discussion_type="pull_request", discussion_status="open"
            )
            folder = next((_snapshot(checkpoint, offer.git_reference) for offer in offers), folder)
    except (OSError, ValueError, httpx.HTTPError) as error:
        absent = isinstance(error, (ValueError, RepositoryNotFoundError))
        reason = "nor on the hub" if absent else "nor in the cache, and the hub cannot be reached"
        raise KagglekitError(
            f"checkpoint '{checkpoint}' is neither a folder {reason}",
            hint="run `kagglekit fetch --checkpoints` with a network, or name a local folder",
        ) from error
    if missing := _missing(folder, settings):
        raise KagglekitError(
            f"checkpoint '{checkpoint}' has no {' and no '.join(missing)} on the hub",
            hint="choose another, or convert it and name the folder: kagglekit loads no pickles",
        )
    return folder


def fingerprint(folder: Path) -> str:
    """Hash a checkpoint's settings and weights, wherever the folder is."""
    paths = sorted({path for pattern in FILES for path in folder.glob(pattern)})
    return key_of({path.name: _digest(path, path.stat().st_mtime_ns) for path in paths})


@cache
def _digest(path: Path, changed_ns: int) -> str:
    """Return a file's SHA-256; a process reads the gigabytes once."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _snapshot(checkpoint: str, revision: str | None = None) -> Path:
    return Path(snapshot_download(checkpoint, revision=revision, allow_patterns=list(FILES)))


def _missing(folder: Path, settings: Sequence[str]) -> list[str]:
    """Return the files that a checkpoint lacks, as after a killed download."""
    index = folder / "model.safetensors.index.json"
    weights = _shards(index) if index.is_file() else ["model.safetensors"]
    return [name for name in (*settings, *weights) if not (folder / name).is_file()]


def _shards(index: Path) -> list[str]:
    """Return the files that an index of weights names.

    Raises:
        ConfigError: it names none, or a path that is not a safetensors file in the same folder.
    """
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        valid = bool(names) and all(re.fullmatch(r"[\w.-]+\.safetensors", name) for name in names)
    except (ValueError, LookupError, TypeError, AttributeError):
        valid = False
    if not valid:
        raise ConfigError(
            f"{index} is not an index of safetensors weights",
            hint="choose another checkpoint, or remove the file",
        )
    return names
