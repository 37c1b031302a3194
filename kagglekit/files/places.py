"""Where the files of competition.yaml may lie: folders and bundles, in the order in which they are asked."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from kagglekit.errors import ConfigError
from kagglekit.files.patterns import KaggleDataset
from kagglekit.files.workspace import Workspace

KAGGLE = "KAGGLEKIT_KAGGLE"
"""Environment variable with the folder that stands for /kaggle, where that cannot be mounted."""
INPUT = Path(os.environ.get(KAGGLE, "/kaggle")) / "input"
"""Where Kaggle's notebooks mount competitions and data sets."""
VARIABLE = "KAGGLEKIT_INPUT"
"""Environment variable with the folder that the competition is mounted at."""


class Place(NamedTuple):
    """A folder or a bundle that files may lie in."""

    path: Path
    bundle: bool = False
    """An archive that holds everything."""
    fetched: bool = False
    """A place that `fetch` fills."""
    trees: bool = False
    """Loose files are read from it; archives and tables that the YAML names are fetched first."""
    skip: tuple[str, ...] = ()
    """Names in it that are not of the data."""


def places(
    workspace: Workspace, dataset: KaggleDataset | None = None, root: Path | None = None
) -> list[Place]:
    """Return the places that exist, first the one whose files are used if several have them.

    What is mounted is read where it lies. So are loose files in the local host's folder: a copy would take
    their space again and prove nothing.

    Args:
        dataset: look for this data set instead of the competition.
        root: look in this folder alone.

    Raises:
        ConfigError: `root`, KAGGLEKIT_INPUT or data.mounted is no folder.
    """
    if root is not None:
        return [Place(_folder(root, "external"))]
    mounts = [Place(folder) for folder in _mounts(workspace, dataset) if folder.is_dir()]
    return mounts + [p for p in _fetched(workspace, dataset) if p.path.is_file() or p.path.is_dir()]


def mounted(workspace: Workspace, dataset: KaggleDataset | None = None) -> list[Place]:
    """Return the folders that are mounted already, so that nothing need be fetched from the host."""
    return [p for p in places(workspace, dataset) if not (p.bundle or p.fetched or p.trees)]


def mounted_competitions() -> dict[str, Path]:
    """Return the folders of the competitions that a Kaggle notebook has mounted, by their slugs."""
    try:
        return {path.name: path for path in sorted((INPUT / "competitions").iterdir()) if path.is_dir()}
    except OSError:
        return {}


def mount_of(slug: str) -> Path | None:
    """Return the folder that a competition is mounted at in a Kaggle notebook, or None."""
    return next((path for path in _competition_mounts(slug) if path.is_dir()), None)


def dataset_path(workspace: Workspace, dataset: KaggleDataset) -> Path:
    """Return where a data set is fetched to."""
    return workspace.datasets / dataset.owner / f"{dataset.slug}.zip"


def bundle_path(workspace: Workspace) -> Path:
    """Return where the whole competition is fetched to, as one archive."""
    return workspace.raw / f"{workspace.config.competition.slug}.zip"


def _mounts(workspace: Workspace, dataset: KaggleDataset | None) -> Iterator[Path]:
    if dataset is not None:
        yield INPUT / "datasets" / dataset.owner / dataset.slug
        yield INPUT / dataset.slug  # in older images
        return
    slug = workspace.config.competition.slug
    if folder := os.environ.get(VARIABLE):
        yield _folder(Path(folder), VARIABLE)
    if folder := getattr(workspace.config.data, "mounted", None):
        yield _folder(Path(folder), "data.mounted")
    yield from _competition_mounts(slug)


def _competition_mounts(slug: str) -> tuple[Path, Path]:
    return INPUT / "competitions" / slug, INPUT / slug  # the second in older images


def _fetched(workspace: Workspace, dataset: KaggleDataset | None) -> Iterator[Place]:
    if dataset is not None:
        yield Place(dataset_path(workspace, dataset), bundle=True, fetched=True)
        return
    bundle = bundle_path(workspace)
    yield Place(workspace.raw, fetched=True)
    yield Place(bundle, bundle=True, fetched=True)
    local = workspace.config.competition.local
    if workspace.config.competition.host == "local" and local is not None:
        solution = os.path.relpath(os.path.realpath(local.solution), os.path.realpath(local.files))
        yield Place(local.files, trees=True, skip=(Path(solution).as_posix(),))


def _folder(path: Path, setting: str) -> Path:
    if not path.is_dir():
        raise ConfigError(f"{setting}: there is no folder {path}", hint="check the path")
    return path
