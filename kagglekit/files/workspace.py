"""The paths of a workspace, derived from the config."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kagglekit.config import Config


class Workspace:
    """The files and folders of one competition."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.root = config.workspace
        self.submissions = config.submissions
        self.raw = self.root / "raw"
        self.checkpoints = self.root / "checkpoints"
        self.audio = self.root / "audio"
        self.clips_path = self.root / "clips.parquet"
        self.features = self.root / "features"
        self.studies = self.root / "studies"
        self.runs = self.root / "runs"
        self.ensembles = self.root / "ensembles"
        self.host = self.root / "host"
        self.ledger_path = self.submissions / "leaderboard.jsonl"
