"""How far a push has come, kept beside the built folder so that the same command goes on after a kill.

<workspace>/notebooks/<key>.push/
    state.json      the steps that are done
    log.txt         the log of the notebook's last run
    output/         what that run has written
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from dataclasses import field as field_
from pathlib import Path
from typing import Any, Self

from kagglekit.files.atomic import read_json, write_json
from kagglekit.files.json_shape import shaped
from kagglekit.notebooks.folder import Built


@dataclass(frozen=True, kw_only=True)
class Steps:
    """What has been done; a field that is empty or None is still to do."""

    digest: str
    """Of the built files; other files begin anew."""
    host: str
    """The host's name in the log of submissions."""
    account: str
    attempt: int = 1
    """Number of this push; each one that was forced counts up."""
    tokens: dict[str, str] = field_(default_factory=dict)
    """SHA-256 of a file -> token of its upload."""
    dataset_version: int | None = None
    dataset_ready: bool = False
    dataset_bad: int = 0
    """Number of the newest version that the host has spoilt."""
    kernel_after: int | None = None
    """Version of the notebook before the push, 0 for none."""
    kernel: str = ""
    """The notebook's name, as the host has made it."""
    kernel_version: int | None = None
    failure: str = ""
    """Why the notebook's run has failed, in plain words."""
    remedy: str = ""
    output: str = ""
    """SHA-256 of the file that it has written."""

    @property
    def dataset_mark(self) -> str:
        """What the note of the data set's version says."""
        return f"kagglekit {self.digest[:12]}"

    @property
    def kernel_mark(self) -> str:
        """What a line of the notebook's source, and of its log, says."""
        return f"kagglekit {self.digest[:12]}-{self.dataset_version}-{self.attempt}"

    def again(self) -> Self:
        """Return the steps of another push of the same files, whose data set is there."""
        return replace(
            self,
            attempt=self.attempt + 1,
            kernel_after=None,
            kernel_version=None,
            failure="",
            remedy="",
            output="",
        )


@dataclass
class Progress:
    """The steps of a push, saved with each change."""

    folder: Path
    steps: Steps

    @classmethod
    def of(cls, built: Built, host: str, account: str) -> Self:
        """Read how far the push of a built folder has come; nowhere for other files or another user."""
        folder, digest = built.path.with_name(f"{built.path.name}.push"), digest_of(built)
        try:
            steps = shaped(Steps, read_json(folder / "state.json"))
        except (OSError, ValueError):  # lost or damaged: what the host has is found by its marks
            steps = None
        if steps is None or (steps.digest, steps.host, steps.account) != (digest, host, account):
            steps = Steps(digest=digest, host=host, account=account)
        return cls(folder, steps)

    def set(self, **fields: Any) -> None:
        """Keep what has been done."""
        self.save(replace(self.steps, **fields))

    def save(self, steps: Steps) -> None:
        """Keep all steps."""
        self.steps = steps
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(self.folder / "state.json", asdict(steps))

    @property
    def log_path(self) -> Path:
        """The log of the last run."""
        return self.folder / "log.txt"

    @property
    def output_folder(self) -> Path:
        """What the last run has written."""
        return self.folder / "output"


def digest_of(built: Built) -> str:
    """Return a hash of all files that are pushed, by their names."""
    return hashlib.sha256(json.dumps(sorted(built.record.files.items())).encode()).hexdigest()
