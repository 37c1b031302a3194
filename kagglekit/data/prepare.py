"""Archives -> decoded audio, silence, and the clips table. Done once for a key, then found."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kagglekit.config import Config
from kagglekit.data import clips as clip_table
from kagglekit.data import ingest, silence
from kagglekit.data.store import Store, open_recordings, open_store
from kagglekit.files import tables
from kagglekit.files.atomic import building, write_json
from kagglekit.files.keys import key_of
from kagglekit.files.locks import locked
from kagglekit.files.raw import fingerprint, raw_archive
from kagglekit.files.workspace import Workspace
from kagglekit.scoring.task import Task

SPLITS = ("train", "silence", "test")


@dataclass(frozen=True)
class Prepared:
    """What every later stage starts from."""

    workspace: Workspace
    """Where it lies; it knows the config."""
    clips: pl.DataFrame
    """The clips table (kagglekit.data.clips)."""
    key: str
    """Changes when any row of it does."""
    folders: dict[str, Path]
    """Decoded audio by split."""
    keys: dict[str, str]
    """What each folder was made from."""
    noise_fold: dict[str, int]
    """Fold whose training must not hear a piece of noise."""
    problems: dict[str, dict[str, int]]
    """Clips by problem, by split."""

    @property
    def config(self) -> Config:
        """All of competition.yaml."""
        return self.workspace.config

    @property
    def task(self) -> Task:
        """What the competition asks."""
        return Task.of(self.config)

    def with_config(self, config: Config) -> Prepared:
        """The same clips under other settings of training, search or ensemble."""
        return replace(self, workspace=Workspace(config))

    def store(self, split: str) -> Store:
        """The decoded clips of one split."""
        return open_store(self.folders[split] / ingest.STORE)

    def noise(self) -> dict[str, NDArray[np.int16]]:
        """Pieces of noise by name; nothing where there is no silence class."""
        if not self.noise_fold:
            return {}
        return _pieces(self.folders["train"], self.config)


def prepare(workspace: Workspace) -> Prepared:
    """Make, or find, the audio stores and the clips table.

    Raises:
        MissingError: the archives have not been fetched.
        ArchiveError, AudioError, ConfigError: they cannot be what competition.yaml says.
    """
    keys = _keys(workspace)
    folders = {split: workspace.audio / f"{split}-{key}" for split, key in keys.items() if split != "clips"}
    jobs = [
        ingest.Job(
            raw_archive(workspace, workspace.config.data.train_archive),
            folders["train"],
            "train",
            keys["train"],
        ),
        ingest.Job(
            raw_archive(workspace, workspace.config.data.test_archive), folders["test"], "test", keys["test"]
        ),
    ]
    train, test = ingest.ingest_all(jobs, workspace.config.data, workspace.config.audio)
    noise_fold = _make_silence(workspace.config, folders, keys, train.clips) if "silence" in keys else {}
    clips = _clips(workspace, folders, keys["clips"], noise_fold)
    problems = {"train": train.problems, "test": test.problems}
    return Prepared(workspace, clips, keys.pop("clips"), folders, keys, noise_fold, problems)


def _keys(workspace: Workspace) -> dict[str, str]:
    """One for each split and one for the table."""
    settings = workspace.config.data.model_dump(
        exclude={"train_archive", "test_archive", "sample_submission", "leave_out", "leave_out_clips"}
    )
    keys = {}
    for split, name in (
        ("train", workspace.config.data.train_archive),
        ("test", workspace.config.data.test_archive),
    ):
        archive = fingerprint(raw_archive(workspace, name))
        keys[split] = key_of(split, ingest.VERSION, settings, workspace.config.audio.model_dump(), archive)
    folds = (workspace.config.validation.folds, workspace.config.validation.seed)
    if workspace.config.labels.silence is not None:
        keys["silence"] = key_of(
            "silence", silence.VERSION, keys["train"], folds, workspace.config.labels.silence_share
        )
    labels = workspace.config.labels.model_dump(exclude={"keep_fillers"})
    left_out: list[object] = [workspace.config.data.leave_out]
    if workspace.config.data.leave_out_clips is not None:
        left_out.append(sorted(clip_table.listed_clips(workspace.config.data.leave_out_clips)))
    keys["clips"] = key_of("clips", clip_table.VERSION, keys, folds, labels, *left_out)
    return keys


def _pieces(train_folder: Path, config: Config) -> silence.Pieces:
    recordings = open_recordings(train_folder / ingest.NOISE)
    return silence.pieces(recordings, config.validation.folds, config.audio.samples)


def _make_silence(
    config: Config, folders: dict[str, Path], keys: dict[str, str], spoken: int
) -> dict[str, int]:
    pieces = _pieces(folders["train"], config)
    fold_of = silence.piece_folds(pieces, config.validation.folds)
    with building(folders["silence"], keys["silence"]) as folder:
        if folder is not None:
            count = max(round(config.labels.silence_share * spoken), config.validation.folds)
            facts = silence.cut(
                pieces, fold_of, count, folder / ingest.STORE, config.audio.samples, config.validation.seed
            )
            facts.write_parquet(folder / ingest.FACTS_FILE)
    return fold_of


def _clips(
    workspace: Workspace, folders: dict[str, Path], key: str, noise_fold: dict[str, int]
) -> pl.DataFrame:
    """The table, made again where it has another key."""
    path, marker = workspace.clips_path, workspace.clips_path.with_suffix(".json")
    again = f"remove {path} and run the same command again"
    if _has_key(marker, key) and path.is_file():
        table = tables.read(path, again)
        if _has_key(marker, key):  # who makes another takes the marker away first
            return table
    with locked(path, path.name):
        if not _has_key(marker, key) or not path.is_file():
            facts = {
                split: tables.read(
                    folder / ingest.FACTS_FILE, f"remove the folder {folder} and run the same command again"
                )
                for split, folder in folders.items()
            }
            parts = [
                clip_table.train_table(workspace.config, facts["train"], _official_lists(folders["train"]))
            ]
            if "silence" in facts:
                parts.append(clip_table.silence_table(workspace.config, facts["silence"], noise_fold))
            parts.append(clip_table.test_table(facts["test"]))
            marker.unlink(missing_ok=True)
            table = pl.concat(parts, how="vertical_relaxed")
            if workspace.config.data.leave_out_clips is not None:
                table = clip_table.without(table, workspace.config.data.leave_out_clips)
            tables.write(table, path)
            write_json(marker, {"key": key, "folders": {k: str(v) for k, v in folders.items()}})
        return tables.read(path, again)


def _has_key(marker: Path, key: str) -> bool:
    try:
        return bool(json.loads(marker.read_text(encoding="utf-8"))["key"] == key)
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return False


def _official_lists(train_folder: Path) -> dict[str, str] | None:
    """clip_id -> validation or testing, by the data set's own lists; None where it has none."""
    lists: dict[str, str] = {}
    for field, name in ingest.LIST_FILES.items():
        path = train_folder / name
        if path.is_file():
            kind = field.removesuffix("_list")
            lists.update(dict.fromkeys(path.read_text(encoding="utf-8", errors="replace").split(), kind))
    return lists or None


def summary(prepared: Prepared) -> dict[str, object]:
    """Counts for a person or for JSON."""
    counts = prepared.clips.group_by("split").len().rows()
    return {"clips": dict(sorted(counts)), "problems": prepared.problems, "key": prepared.key}
