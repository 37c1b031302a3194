"""The names of a notebook and its data set, and the metadata files that Kaggle reads."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kagglekit.files.atomic import write_text
from kagglekit.notebooks.folder import (
    DATASET,
    DATASET_METADATA,
    KERNEL,
    KERNEL_METADATA,
    OWNER,
    SCRIPT,
    BuildRecord,
)

MOST_NAME = 50  # characters of a title, as Kaggle has it


def slug_of(prefix: str, competition: str) -> str:
    """Return a name that Kaggle takes, and whose title gives it again."""
    return f"{prefix}-{competition}"[:MOST_NAME].rstrip("-")


def title_of(slug: str) -> str:
    """Return the title that gives a slug."""
    return slug.replace("-", " ")


def write_metadata(
    folder: Path, record: BuildRecord, *, accelerator: str | None = None, datasets: Sequence[str] = ()
) -> None:
    """Write kernel-metadata.json and dataset-metadata.json: private, the internet off.

    Args:
        folder: of the build.
        accelerator: as Kaggle calls it; None: the processor alone.
        datasets: others' data sets (`owner/slug`) that the notebook reads besides its own.
    """
    own = f"{OWNER}/{record.dataset}"
    kernel = {
        "id": f"{OWNER}/{record.kernel}",
        "title": title_of(record.kernel),
        "code_file": SCRIPT,
        "language": "python",
        "kernel_type": "script",
        "is_private": True,
        "enable_gpu": accelerator is not None,
        "enable_tpu": False,
        "enable_internet": False,
        "machine_shape": accelerator or "",
        "dataset_sources": [own, *datasets],
        "competition_sources": [record.competition],
        "kernel_sources": [],
        "model_sources": [],
    }
    dataset = {"title": title_of(record.dataset), "id": own, "licenses": [{"name": "other"}]}
    _write(folder / KERNEL / KERNEL_METADATA, kernel)
    _write(folder / DATASET / DATASET_METADATA, dataset)


def _write(path: Path, data: dict[str, Any]) -> None:
    """Write JSON as Kaggle reads it, without a checksum of ours."""
    write_text(path, json.dumps(data, indent=1, ensure_ascii=False) + "\n")
