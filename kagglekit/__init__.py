"""kagglekit: from a Kaggle audio competition's archives to a submission you can trust."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kagglekit.errors import (
    ArchiveError,
    AudioError,
    ConfigError,
    DamagedCacheError,
    HostError,
    KagglekitError,
    MissingError,
    SubmissionError,
    TableError,
)

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from kagglekit.project import Project

__version__ = "0.1.0"
__all__ = [
    "ArchiveError",
    "AudioError",
    "ConfigError",
    "DamagedCacheError",
    "HostError",
    "KagglekitError",
    "MissingError",
    "Project",
    "SubmissionError",
    "TableError",
    "__version__",
    "open",
]


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> object:
    """Import `Project` at its first use, so that `import kagglekit` is instant."""
    if name == "Project":
        from kagglekit.project import Project

        return Project
    raise AttributeError(f"module 'kagglekit' has no attribute '{name}'")


def open(path: str | Path | None = None, *settings: str) -> Project:
    """Open a competition in a script or a notebook; see `kagglekit.project`.

    Args:
        path: its YAML; by default competition.yaml in the current folder.
        settings: overrides `a.b=value`, as --set takes them.

    Raises:
        ConfigError: the file is missing or has problems.
    """
    from kagglekit.project import Project

    project = Project(path, *settings)
    _ = project.config  # its problems are raised here, not at some later use
    return project


def load_ipython_extension(shell: Any) -> None:
    """Add `%kagglekit` to a notebook, for `%load_ext kagglekit`; see `kagglekit.magic`."""
    from kagglekit.magic import register

    register(shell)
