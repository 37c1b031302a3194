"""kagglekit: from a Kaggle audio competition's archives to a submission you can trust."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from kagglekit.project import Competition

__version__ = "0.1.0"


def open(path: str | Path | None = None, *settings: str) -> Competition:
    """A competition for a script or a notebook; see `kagglekit.project`.

    Args:
        path: its YAML; by default competition.yaml in the current folder.
        settings: `a.b=value`, as --set takes them.

    Raises:
        ConfigError: the file is missing or has problems.
    """
    from kagglekit.project import Competition  # here, because it imports torch

    return Competition(path, *settings)
