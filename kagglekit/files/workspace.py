"""The paths of a workspace, derived from the config, and the edition of kagglekit that wrote it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from kagglekit.config.names import CASCADE, FAMILIES
from kagglekit.errors import MissingError
from kagglekit.files.atomic import read_json, write_json
from kagglekit.files.faults import MachineError, is_writable, reason
from kagglekit.files.json_shape import shaped
from kagglekit.terminal import console

if TYPE_CHECKING:
    from kagglekit.config import Config

EDITION = 2
Folder = Literal["workspace", "submissions"]
FOLDERS: tuple[Folder, ...] = ("workspace", "submissions")
"""Settings that name what is written to."""


def folder_name(name: str) -> str:
    """Return the name of a model or study as that of a folder or file: `timm:resnet18` -> `timm-resnet18`."""
    return name.replace(":", "-")


def model_of(folder: Path) -> str:
    """Return the model whose runs a folder holds, which `folder_name` named."""
    base = folder.name.removeprefix(CASCADE)
    prefix = next((prefix for prefix in FAMILIES if base.startswith(folder_name(prefix))), "")
    return folder.name.removesuffix(base) + prefix + base.removeprefix(folder_name(prefix))


@dataclass(frozen=True)
class ClipsFacts:
    """What stands in clips.json, beside the clips table."""

    inputs: str
    """Key of everything that the table depends on."""
    key: str
    keys: dict[str, str]
    """Of the folder of each split's audio."""
    noise_fold: dict[str, int]
    """Fold of each noise recording."""
    classes: list[str]
    folds: int
    given: bool
    """Whether the data say the folds."""
    auxiliary: list[str] | None = None
    table: str = ""
    """Digest of the table's file; "" of an earlier version."""


class Workspace:
    """The files and folders of one competition."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.root = config.workspace
        self.submissions = config.submissions
        self.marker = self.root / "workspace.json"
        self.raw = self.root / "raw"  # the host's files under the host's names, and nothing else
        self.datasets = self.root / "datasets"
        self.incoming = self.root / "incoming"
        self.fingerprints = self.root / "fingerprints.json"
        self.unpacked = self.root / "unpacked"
        self.checkpoints = self.root / "checkpoints"
        self.audio = self.root / "audio"
        self.clips_path = self.root / "clips.parquet"
        self.features = self.root / "features"
        self.studies = self.root / "studies"
        self.runs = self.root / "runs"
        self.ensembles = self.root / "ensembles"
        self.host = self.root / "host"
        self.ledger_path = self.submissions / "leaderboard.jsonl"

    def clips_facts(self) -> dict[str, Any]:
        """Return what `prepare` has written beside the clips table; {} before."""
        try:
            return asdict(shaped(ClipsFacts, read_json(self.clips_path.with_suffix(".json"))))
        except (FileNotFoundError, ValueError):
            return {}

    def runs_of(self, model: str) -> Path:
        """Return the folder of a model's runs."""
        return self.runs / folder_name(model)

    def study_folder(self, study: str) -> Path:
        """Return the folder of a study's trials."""
        return self.studies / folder_name(study)

    def journal(self, model: str) -> Path:
        """Return the file of a model's studies, where search.storage is not set."""
        return self.studies / f"{folder_name(model)}.journal"

    def audio_folder(self, split: str, key: str) -> Path:
        """Return the folder of a split's audio."""
        return self.audio / f"{split}-{key}"

    def resolved(self) -> Workspace:
        """Return the workspace with the classes and the number of folds that `prepare` read from the data."""
        config, facts = self.config, self.clips_facts()
        if "classes" not in facts or (config.labels.known and facts["folds"] == config.validation.folds):
            return self
        labels, validation = config.labels, config.validation
        if not labels.known:
            auxiliary = None if facts["auxiliary"] is None else tuple(facts["auxiliary"])
            labels = labels.model_copy(update={"classes": tuple(facts["classes"]), "auxiliary": auxiliary})
        if facts["given"]:
            validation = validation.model_copy(update={"folds": facts["folds"]})
        return Workspace(config.model_copy(update={"labels": labels, "validation": validation}))

    def check_writable(self, *settings: Folder) -> None:
        """Check folders before they are needed.

        Raises:
            MachineError: one must not be written to; the hint names every setting that must lead elsewhere.
        """
        for setting in settings:
            if not is_writable(folder := getattr(self.config, setting)):
                why = "cannot be written to" if folder.exists() else "cannot be made"
                raise MachineError(
                    f"{folder} {why}: {reason(folder)}", hint=self.elsewhere(folder), refused=folder
                )

    def elsewhere(self, path: Path) -> str:
        """Return what to type where a path in a folder must not be written to; "" for other paths."""
        inside = [name for name in FOLDERS if path.is_relative_to(getattr(self.config, name))]
        closed = [name for name in FOLDERS if not is_writable(getattr(self.config, name))]
        names = [name for name in FOLDERS if name in (*inside, *closed)]
        options = " ".join(f"--set {name}=FOLDER" for name in names)
        return f"name a folder that can be written to: {options}" if inside else ""

    @property
    def is_first_edition(self) -> bool:
        """Whether the first edition of kagglekit, which wrote no marker, prepared or trained here."""
        return not self.marker.exists() and (self.runs.exists() or self.clips_path.exists())

    def mark(self) -> None:
        """Write the marker, before anything else is written: the edition, and the competition.

        Where another competition has used the workspace, say so once: its files may have the same names.
        """
        slug = self.config.competition.slug
        try:
            earlier = shaped(dict[str, Any], read_json(self.marker)).get("competition", slug)
        except FileNotFoundError:
            if self.is_first_edition:
                return
            earlier = None
        except ValueError:
            earlier = None
        if earlier == slug:
            return
        if earlier is not None:
            console.note(
                f"{self.root} was the workspace of {earlier}: its files with the names of {slug}'s are taken "
                f"for these, where sizes agree; --set workspace=FOLDER keeps the two apart"
            )
        write_json(self.marker, {"edition": EDITION, "competition": slug})

    def check_edition(self) -> None:
        """Refuse a workspace of the first edition.

        Raises:
            MissingError: its runs and caches cannot be read any more.
        """
        if self.is_first_edition:
            raise MissingError(
                f"{self.root} was written by the first edition of kagglekit, whose runs cannot be read",
                hint=f"{self.raw} and {self.ledger_path} are kept; remove everything else in {self.root}, "
                "then train again",
            )
