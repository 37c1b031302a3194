"""Decode the archives, make silence clips and the clips table; each is made once for its key."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from hashlib import sha1
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kagglekit.config import Config
from kagglekit.config.labels import FROM_SAMPLE
from kagglekit.data import clips as clip_table
from kagglekit.data import ingest, silence
from kagglekit.data.audit import without_test_copies
from kagglekit.data.classes import check_classes, given_folds
from kagglekit.data.clips import WITHOUT_LABELS
from kagglekit.data.content import read_content
from kagglekit.data.expected_rows import expected
from kagglekit.data.lengths import lengths_and_rates
from kagglekit.data.lists import leave_out, official_lists, read_clip_list
from kagglekit.data.proven import false_lengths
from kagglekit.data.store import Store, open_recordings, open_store
from kagglekit.errors import HostError
from kagglekit.files import parquet
from kagglekit.files.atomic import building, done_key, read_json, write_json
from kagglekit.files.checksums import digest
from kagglekit.files.faults import unless_refused
from kagglekit.files.keys import key_of
from kagglekit.files.locks import locked
from kagglekit.files.resolve import fingerprint_of
from kagglekit.files.wanted import host_files, paths_of
from kagglekit.files.workspace import Workspace
from kagglekit.hosts.local_grading import check_solution
from kagglekit.scoring.task import Task
from kagglekit.terminal import console

SPLITS = ("train", "silence", "test", "unlabelled")


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
    sample_rate: int | None = None
    """Rate in Hz at which the stores give clips, where it is not the competition's
    (kagglekit.data.other_rate)."""

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
        return open_store(self.store_folder(split), self.sample_rate)

    def store_folder(self, split: str) -> Path:
        """Return the folder of a split's store."""
        return self.folders[split] / ingest.STORE

    def noise(self) -> dict[str, NDArray[np.int16]]:
        """Return the pieces of noise by name; an empty dict if there is no silence class."""
        if not self.noise_fold:
            return {}
        return _pieces(self.folders["train"], self.config)

    def noise_files(self) -> dict[str, NDArray[np.int16]]:
        """Return the recordings of data.noise by name, each repeated until it is as long as a clip."""
        recordings = open_recordings(self.folders["train"] / ingest.NOISE)
        least = self.config.audio.samples
        return {name: np.resize(pcm, max(len(pcm), least)) for name, pcm in recordings.items() if len(pcm)}


def prepare(workspace: Workspace) -> Prepared:
    """Make the audio stores and the clips table, or open them if they exist.

    Raises:
        MissingError: files have not been fetched.
        KagglekitError: the files do not fit competition.yaml.
    """
    workspace.mark()
    inputs, marker = _inputs_key(workspace), workspace.clips_path.with_suffix(".json")
    saved = workspace.clips_facts()
    if not _is_made(workspace, saved, inputs):
        with locked(workspace.clips_path, workspace.clips_path.name):
            saved = workspace.clips_facts()
            if not _is_made(workspace, saved, inputs):
                saved = _make(workspace, inputs, marker)
    opened = workspace.resolved()
    check_classes(opened.config)
    folders = {split: workspace.audio_folder(split, key) for split, key in saved["keys"].items()}
    clips = parquet.read_cache(workspace.clips_path)
    _check_sample(opened, clips.filter(pl.col("split") == "test")["clip_id"].to_list())
    problems = {split: ingest.read_counts(folders[split]).problems for split in folders if split != "silence"}
    return Prepared(opened, clips, saved["key"], folders, saved["keys"], saved["noise_fold"], problems)


def _inputs_key(workspace: Workspace) -> str:
    """Return the key of everything that the clips table depends on."""
    config = workspace.config
    left_out = config.data.leave_out_clips
    return key_of(
        *(ingest.VERSION, silence.VERSION, clip_table.VERSION),
        config.data.model_dump(mode="json", exclude={"sample", "leave_out_clips"}),
        config.labels.model_dump(mode="json", exclude={"keep_fillers"}),
        config.rows.model_dump(mode="json"),
        _columns_of_classes(config),
        (config.audio.model_dump(), false_lengths(workspace)),
        (config.validation.folds, config.validation.seed),
        *_fold_table(config),
        fingerprint_of(workspace, host_files(config)),
        *(fingerprint_of(workspace, paths, folder) for folder, paths in _external(config)),
        [] if left_out is None else sorted(read_clip_list(left_out)),
    )


def _fold_table(config: Config) -> list[object]:
    """Return what the table of the folds is, by its settings and its bytes."""
    given = config.validation.given
    if given is None:
        return []
    there = given.table.is_file()
    return [given.file, given.fold, sha1(given.table.read_bytes()).hexdigest() if there else ""]


def _columns_of_classes(config: Config) -> list[object]:
    """Return the settings by which `classes.resolve` reads the classes from the sample submission."""
    submission = config.submission
    if config.labels.classes != FROM_SAMPLE:
        return []
    return [submission.shape, submission.id, submission.label, submission.class_column]


def _external(config: Config) -> list[tuple[Path, list[str]]]:
    """Return the folders of your own that training sets name, with the paths in them."""
    return [(train.external, paths_of(train)) for train in config.data.train if train.external is not None]


def _make(workspace: Workspace, inputs: str, marker: Path) -> dict[str, Any]:
    """Read the annotations, decode the recordings, and write the clips table and its marker."""
    workspace, annotations, jobs = read_content(workspace)
    config = workspace.config
    keys: dict[str, str] = {job.split: job.key for job in jobs}
    folders: dict[str, Path] = {job.split: job.target for job in jobs}
    train, *_ = ingest.ingest_all(workspace, jobs)
    noise_fold: dict[str, int] = {}
    if config.labels.silence is not None:
        share = (config.validation.folds, config.validation.seed, config.labels.silence_share)
        keys["silence"] = key_of("silence", silence.VERSION, keys["train"], *share)
        folders["silence"] = workspace.audio_folder("silence", keys["silence"])
        noise_fold = _make_silence(config, folders, keys, train.clips)
    table = _clips_table(workspace, folders, annotations, noise_fold)
    labels = config.labels.model_dump(mode="json", exclude={"keep_fillers"})
    folds, data = (config.validation.folds, config.validation.seed), config.data
    left_out = [] if data.leave_out_clips is None else sorted(read_clip_list(data.leave_out_clips))
    content = sha1(annotations.write_ndjson().encode(), usedforsecurity=False).hexdigest()
    key = key_of("clips", clip_table.VERSION, keys, folds, labels, data.leave_out, left_out, content)
    saved = {
        "inputs": inputs,
        "key": key,
        "keys": keys,
        "noise_fold": noise_fold,
        "classes": config.labels.targets,
        "auxiliary": config.labels.auxiliary,
        "folds": config.validation.folds,
        "given": bool(given_folds(annotations)),
    }
    marker.unlink(missing_ok=True)
    parquet.write(table, workspace.clips_path)
    saved["table"] = digest(workspace.clips_path.read_bytes())
    write_json(marker, saved)
    return saved


def _is_made(workspace: Workspace, saved: dict[str, Any], inputs: str) -> bool:
    """Tell whether the clips table is of these inputs, and its folders as they would be made today."""
    if saved.get("inputs") != inputs or not workspace.clips_path.is_file():
        return False
    if saved["table"] not in (
        "",
        digest(workspace.clips_path.read_bytes()),
    ):  # of another workspace, or damaged
        return False
    folders = {key: workspace.audio_folder(split, key) for split, key in saved.get("keys", {}).items()}
    is_done = bool(folders) and all(done_key(folder) == key for key, folder in folders.items())
    return is_done and not any(map(ingest.is_outdated, folders.values()))


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
            parquet.write(facts, folder / ingest.FACTS_FILE)
    return name2fold


def _clips_table(
    workspace: Workspace, folders: dict[str, Path], annotations: pl.DataFrame, noise_fold: dict[str, int]
) -> pl.DataFrame:
    config = workspace.config
    facts = {split: ingest.read_facts(folder) for split, folder in folders.items()}
    parts = [clip_table.train_table(config, facts["train"], annotations, official_lists(workspace))]
    if "silence" in facts:
        parts.append(clip_table.silence_table(config, facts["silence"], noise_fold))
    for split in WITHOUT_LABELS:
        if split in facts:
            parts.append(clip_table.table_without_labels(facts[split], split))
    table = without_test_copies(pl.concat(parts, how="vertical_relaxed"), annotations)
    if config.data.leave_out_clips is not None:
        table = leave_out(table, config.data.leave_out_clips)
    return table


def _check_sample(workspace: Workspace, clip_ids: list[str]) -> None:
    """Read the sample submission and match its ids with the test clips, once for each of its contents.

    A local host's solution is read, too; a note says what is wrong with it.

    Raises:
        TableError, SubmissionError: what `submit` would find after the training.
    """
    config, marker = workspace.config, workspace.clips_path.with_name("sample.json")
    content = fingerprint_of(workspace, config.data.sample) if config.data.sample else ""
    judged = [getattr(config.competition, name) for name in ("metric", "metric_parameters", "delivery")]
    local = config.competition.local
    solution = local.solution if local is not None and config.competition.host == "local" else None
    there = solution is not None and solution.is_file()
    stamp = (solution.stat().st_size, solution.stat().st_mtime_ns) if solution and there else None
    key = key_of("sample", clip_ids, content, config.submission.model_dump(), judged, stamp)
    try:
        if read_json(marker)["key"] == key:
            return
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        pass
    sample = expected(workspace, clip_ids)
    if sample.notes:
        console.note(f"{config.data.sample}: {', '.join(sample.notes)}")
    try:
        check_solution(config)
    except HostError as error:  # models can be trained all the same
        console.note(f"submit --upload will not be graded: {error} ({error.hint})")
    with unless_refused():  # the check is then made each time
        write_json(marker, {"key": key})


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
