"""Decode the archives, make silence clips and the clips table; each is made once for its key."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kagglekit.config import Config
from kagglekit.data import clips as clip_table
from kagglekit.data import ingest, silence
from kagglekit.data.lengths import lengths_and_rates
from kagglekit.data.store import Store, open_recordings, open_store
from kagglekit.files import parquet
from kagglekit.files.atomic import building, write_json
from kagglekit.files.keys import key_of
from kagglekit.files.locks import locked
from kagglekit.files.raw import fingerprint, raw_archive
from kagglekit.files.sample import clips_of, read_sample
from kagglekit.files.tables import read_table_file
from kagglekit.files.workspace import Workspace
from kagglekit.scoring.task import Task
from kagglekit.terminal import console

SPLITS = ("train", "silence", "test")


@dataclass(frozen=True)
class Prepared:
    """The prepared data, with which every later stage starts."""

    workspace: Workspace
    clips: pl.DataFrame
    """The clips table (kagglekit.data.clips)."""
    key: str
    """Hash of everything that shapes the clips table."""
    folders: dict[str, Path]
    """The folder of each split's decoded audio."""
    keys: dict[str, str]
    """Hash of everything that shapes each folder."""
    noise_fold: dict[str, int]
    """The fold whose training leaves each piece of noise out."""
    problems: dict[str, dict[str, int]]
    """Number of clips for each flag (kagglekit.data.decode), by split."""

    @property
    def config(self) -> Config:
        """The settings."""
        return self.workspace.config

    @property
    def task(self) -> Task:
        """The label kind, classes and metric."""
        return Task.of(self.config)

    def with_config(self, config: Config) -> Prepared:
        """Return the same clips with other settings for training, search or ensemble."""
        return replace(self, workspace=Workspace(config))

    def store(self, split: str) -> Store:
        """Open the decoded clips of a split."""
        return open_store(self.folders[split] / ingest.STORE)

    def noise(self) -> dict[str, NDArray[np.int16]]:
        """Return the pieces of noise by name; an empty dict if there is no silence class."""
        if not self.noise_fold:
            return {}
        return _pieces(self.folders["train"], self.config)


def prepare(workspace: Workspace) -> Prepared:
    """Make the audio stores and the clips table, or open them if they exist.

    Raises:
        MissingError: the archives have not been fetched.
        ArchiveError, AudioError, ConfigError: the archives do not fit competition.yaml.
    """
    config, keys = workspace.config, _keys(workspace)
    workspace.mark()
    folders = {split: workspace.audio / f"{split}-{key}" for split, key in keys.items() if split != "clips"}
    archives: dict[Literal["train", "test"], str] = {
        "train": config.data.train[0].files.partition("/")[0],
        "test": config.data.test.files.partition("/")[0],
    }
    jobs = [
        ingest.ArchiveJob(raw_archive(workspace, name), folders[split], split, keys[split])
        for split, name in archives.items()
    ]
    train, test = ingest.ingest_all(jobs, config.data, config.audio)
    noise_fold = _make_silence(config, folders, keys, train.clips) if "silence" in keys else {}
    clips = _clips(workspace, folders, keys["clips"], noise_fold)
    _check_sample(workspace, clips, keys["clips"])
    problems = {"train": train.problems, "test": test.problems}
    return Prepared(workspace, clips, keys.pop("clips"), folders, keys, noise_fold, problems)


def _keys(workspace: Workspace) -> dict[str, str]:
    """Return the key of each split's folder and of the clips table."""
    config = workspace.config
    settings = config.data.model_dump(mode="json", exclude={"sample", "leave_out", "leave_out_clips"})
    keys = {}
    for split, files in (("train", config.data.train[0].files), ("test", config.data.test.files)):
        archive = fingerprint(raw_archive(workspace, files.partition("/")[0]))
        keys[split] = key_of(split, ingest.VERSION, settings, config.audio.model_dump(), archive)
    folds = (config.validation.folds, config.validation.seed)
    if config.labels.silence is not None:
        keys["silence"] = key_of(
            "silence", silence.VERSION, keys["train"], folds, config.labels.silence_share
        )
    left_out: list[object] = [config.data.leave_out]
    if config.data.leave_out_clips is not None:
        left_out.append(sorted(clip_table.read_clip_list(config.data.leave_out_clips)))
    labels = config.labels.model_dump(exclude={"keep_fillers"})
    keys["clips"] = key_of("clips", clip_table.VERSION, keys, folds, labels, *left_out)
    return keys


def _pieces(train_folder: Path, config: Config) -> silence.Pieces:
    recordings = open_recordings(train_folder / ingest.NOISE)
    return silence.split_recordings(recordings, config.validation.folds, config.audio.samples)


def _make_silence(
    config: Config, folders: dict[str, Path], keys: dict[str, str], spoken: int
) -> dict[str, int]:
    pieces = _pieces(folders["train"], config)
    name2fold = silence.piece_folds(pieces, config.validation.folds)
    with building(folders["silence"], keys["silence"]) as folder:
        if folder is not None:
            count = max(round(config.labels.silence_share * spoken), config.validation.folds)
            facts = silence.write_silence(
                pieces, name2fold, count, folder / ingest.STORE, config.audio.samples, config.validation.seed
            )
            facts.write_parquet(folder / ingest.FACTS_FILE)
    return name2fold


def _clips(
    workspace: Workspace, folders: dict[str, Path], key: str, noise_fold: dict[str, int]
) -> pl.DataFrame:
    """Read the clips table, after making it anew if the one on disk has another key."""
    config, path, marker = workspace.config, workspace.clips_path, workspace.clips_path.with_suffix(".json")
    again = f"remove {path} and run the same command again"
    if _has_key(marker, key) and path.is_file():
        table = parquet.read(path, again)
        if _has_key(marker, key):  # else another process is replacing the table: it removes the marker first
            return table
    with locked(path, path.name):
        if not _has_key(marker, key) or not path.is_file():
            facts = {
                split: parquet.read(
                    folder / ingest.FACTS_FILE, f"remove the folder {folder} and run the same command again"
                )
                for split, folder in folders.items()
            }
            parts = [clip_table.train_table(config, facts["train"], _official_lists(folders["train"]))]
            if "silence" in facts:
                parts.append(clip_table.silence_table(config, facts["silence"], noise_fold))
            parts.append(clip_table.test_table(facts["test"]))
            marker.unlink(missing_ok=True)
            table = pl.concat(parts, how="vertical_relaxed")
            if config.data.leave_out_clips is not None:
                table = clip_table.leave_out(table, config.data.leave_out_clips)
            parquet.write(table, path)
            write_json(marker, {"key": key, "folders": {k: str(v) for k, v in folders.items()}})
        return parquet.read(path, again)


def _check_sample(workspace: Workspace, clips: pl.DataFrame, clips_key: str) -> None:
    """Read the sample submission and match its ids with the test clips, once for each of its contents.

    Raises:
        TableError, SubmissionError: what `submit` would find after the training.
    """
    config, marker = workspace.config, workspace.clips_path.with_name("sample.json")
    path = raw_archive(workspace, config.data.sample)
    key = key_of("sample", clips_key, fingerprint(path), config.submission.model_dump())
    if _has_key(marker, key):
        return
    sample = read_sample(path, config.submission.id, Task.of(config).columns)
    if sample.notes:
        console.note(f"{path.name}: {', '.join(sample.notes)}")
    clips_of(sample, clips.filter(pl.col("split") == "test")["clip_id"].to_list())
    write_json(marker, {"key": key})


def _has_key(marker: Path, key: str) -> bool:
    try:
        return bool(json.loads(marker.read_text(encoding="utf-8"))["key"] == key)
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return False


def _official_lists(train_folder: Path) -> dict[str, str] | None:
    """Read the data set's own lists: clip_id to validation or testing; None if it has no lists."""
    lists: dict[str, str] = {}
    for field, name in ingest.LIST_FILES.items():
        path = train_folder / name
        if path.is_file():
            kind = field.removesuffix("_list")
            lists.update(dict.fromkeys(_listed(path, kind), kind))
    return lists or None


def _listed(path: Path, kind: str) -> list[str]:
    """Return the clips in a list, one a line; none for an empty file."""
    if not path.read_bytes().strip():
        return []
    table = read_table_file(path, hint=f"data.{kind}_list names it", header=False, columns=["clip_id"])
    return table.frame["clip_id"].to_list()


def summary(prepared: Prepared) -> dict[str, object]:
    """Return a JSON-serialisable dict of counts."""
    counts = prepared.clips.group_by("split").len().rows()
    described = lengths_and_rates(prepared.clips, prepared.config.audio.sample_rate)
    return {
        "clips": dict(sorted(counts)),
        "problems": prepared.problems,
        "recordings": {split: asdict(facts) for split, facts in described.items()},
        "key": prepared.key,
    }
