"""What the notebook is told: the competition, the blend's members, and what was fitted to them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from kagglekit.config import Config
from kagglekit.ensemble.fitted import FittedBlend
from kagglekit.errors import MissingError
from kagglekit.files.atomic import read_json
from kagglekit.files.json_shape import shaped
from kagglekit.scoring.task import Task

MANIFEST = "manifest.json"
SAMPLE = "sample.csv"
"""The sample submission as it was when the notebook was built, for where the host mounts none."""


@dataclass(frozen=True, kw_only=True)
class ManifestFile:
    """What manifest.json holds."""

    key: str
    """The build's."""
    config: dict[str, Any]
    """The sections of competition.yaml that inference needs, as JSON."""
    members: list[str]
    """`model/id` of each run, in the order in which the blend takes them."""
    folds: int
    blend: dict[str, Any]
    """`FittedBlend.record`."""
    prior: list[float]
    """Probability of each class, for recordings that cannot be read."""


@dataclass(frozen=True)
class Manifest:
    """The same, checked."""

    key: str
    config: Config
    members: tuple[str, ...]
    folds: int
    fitted: FittedBlend
    prior: tuple[float, ...]

    @property
    def task(self) -> Task:
        """The competition's task."""
        return self.fitted.task


def read_manifest(folder: Path, work: Path) -> Manifest:
    """Read manifest.json of a data set.

    Args:
        work: folder for what has to be unpacked.

    Raises:
        MissingError: it is absent, damaged, or of another version of kagglekit.
    """
    path = folder / MANIFEST
    try:
        data = shaped(ManifestFile, read_json(path))
        config = Config.model_validate({**data.config, "workspace": work, "submissions": work})
        task = Task.of(config)
        fitted = FittedBlend.read(data.blend, task)
        if len(data.prior) != len(task.classes):
            raise ValueError(f"{len(data.prior)} priors for {len(task.classes)} classes")
    except ValidationError as error:
        raise _unreadable(path, str(error.errors(include_url=False)[0]["msg"])) from error
    except (OSError, ValueError) as error:
        raise _unreadable(path, str(error)) from error
    return Manifest(data.key, config, tuple(data.members), data.folds, fitted, tuple(data.prior))


def _unreadable(path: Path, why: str) -> MissingError:
    return MissingError(f"{path} cannot be read: {why}", hint="build and push the notebook again")
