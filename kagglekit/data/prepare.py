"""Archives -> decoded audio, silence, and the clips table. Done once for a key, then found."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kagglekit import tables
from kagglekit.config import Config
from kagglekit.data import clips as clip_table
from kagglekit.data import ingest, silence
from kagglekit.data.store import Store, open_recordings, open_store
from kagglekit.fetch import fingerprint, raw_archive
from kagglekit.workspace import Workspace, building, key_of, locked, write_json

SPLITS = ("train", "silence", "test")


@dataclass(frozen=True)
class Prepared:
    """What every later stage starts from."""

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

    def store(self, split: str) -> Store:
        """The decoded clips of one split."""
        return open_store(self.folders[split] / ingest.STORE)

    def noise(self, config: Config) -> dict[str, NDArray[np.int16]]:
        """Pieces of noise by name; nothing where there is no silence class."""
        if not self.noise_fold:
            return {}
        return _pieces(self.folders["train"], config)


def prepare(config: Config, workspace: Workspace) -> Prepared:
    """Make, or find, the audio stores and the clips table.

    Raises:
        MissingError: the archives have not been fetched.
        ArchiveError, AudioError, ConfigError: they cannot be what competition.yaml says.
    """
    keys = _keys(config, workspace)
    folders = {split: workspace.audio / f"{split}-{key}" for split, key in keys.items() if split != "clips"}
    jobs = [
        ingest.Job(
            raw_archive(config, workspace, config.data.train_archive),
            folders["train"],
            "train",
            keys["train"],
        ),
        ingest.Job(
            raw_archive(config, workspace, config.data.test_archive), folders["test"], "test", keys["test"]
        ),
    ]
    train, test = ingest.ingest_all(jobs, config.data, config.audio)
    noise_fold = _make_silence(config, folders, keys, train.clips) if "silence" in keys else {}
    clips = _clips(config, workspace, folders, keys["clips"], noise_fold)
    problems = {"train": train.problems, "test": test.problems}
    return Prepared(clips, keys.pop("clips"), folders, keys, noise_fold, problems)


def _keys(config: Config, workspace: Workspace) -> dict[str, str]:
    """One for each split and one for the table."""
    settings = config.data.model_dump(
        exclude={"train_archive", "test_archive", "sample_submission", "leave_out", "leave_out_clips"}
    )
    keys = {}
    for split, name in (("train", config.data.train_archive), ("test", config.data.test_archive)):
        archive = fingerprint(raw_archive(config, workspace, name))
        keys[split] = key_of(split, ingest.VERSION, settings, config.audio.model_dump(), archive)
    folds = (config.validation.folds, config.validation.seed)
    if config.labels.silence is not None:
        keys["silence"] = key_of(
            "silence", silence.VERSION, keys["train"], folds, config.labels.silence_share
        )
    labels = config.labels.model_dump(exclude={"keep_fillers"})
    left_out: list[object] = [config.data.leave_out]
    if config.data.leave_out_clips is not None:
        left_out.append(sorted(clip_table.listed_clips(config.data.leave_out_clips)))
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
    config: Config, workspace: Workspace, folders: dict[str, Path], key: str, noise_fold: dict[str, int]
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
            parts = [clip_table.train_table(config, facts["train"], _official_lists(folders["train"]))]
            if "silence" in facts:
                parts.append(clip_table.silence_table(config, facts["silence"], noise_fold))
            parts.append(clip_table.test_table(facts["test"]))
            marker.unlink(missing_ok=True)
            table = pl.concat(parts, how="vertical_relaxed")
            if config.data.leave_out_clips is not None:
                table = clip_table.without(table, config.data.leave_out_clips)
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
