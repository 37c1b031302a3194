"""List what `prepare` decodes, each split with the key of everything that shapes it."""

import polars as pl

from kagglekit.data import ingest
from kagglekit.data.annotations import prefix
from kagglekit.data.cuts import test_cutter, train_cutter, unlabelled_cutter
from kagglekit.data.proven import false_lengths
from kagglekit.files.keys import key_of
from kagglekit.files.lookup import File
from kagglekit.files.resolve import fingerprint_of
from kagglekit.files.workspace import Workspace


def jobs_of(
    workspace: Workspace, sets: list[list[File]], annotations: pl.DataFrame, noise_files: list[File]
) -> list[ingest.Job]:
    """Return what is to be decoded: the annotated recordings, the noise, the test and data.unlabelled."""
    config, jobs = workspace.config, []
    data, rows, named_paths = config.data, config.rows, set(annotations["path"])
    train = [
        ingest.FileSet(
            one.files, one.external, [f for f in files if prefix(one.external) + f.path in named_paths]
        )
        for one, files in zip(data.train, sets, strict=True)
    ]
    noise = ingest.FileSet(data.noise, None, noise_files) if data.noise else None
    test_files, cutter = test_cutter(workspace)
    test = [ingest.FileSet(data.test.files, None, test_files)]
    used = {*named_paths, *(file.path for file in test_files)}
    unlabelled, windows = unlabelled_cutter(workspace, used) if data.unlabelled else ({}, None)
    rest = [ingest.FileSet(pattern, None, files) for pattern, files in unlabelled.items()]
    cuts: dict[str, object] = {
        "train": annotations.select("clip_id", "start", "end").rows(),
        "test": (rows.every, rows.id, [(file.path, cutter(file.path, 0.0)) for file in test_files]),
        "unlabelled": (rows.every, [file.path for one in rest for file in one.files]),
    }
    sources = {"train": (train, train_cutter(annotations), noise), "test": (test, cutter, None)}
    if windows is not None:
        sources["unlabelled"] = (rest, windows, None)
    false = false_lengths(workspace)
    for split, (patterns, cut, extra) in sources.items():
        sounds = [*patterns, *([extra] if extra else [])]
        files = [fingerprint_of(workspace, source.pattern, source.root) for source in sounds]
        noise_names = [file.path for file in extra.files] if extra else []
        audio = (config.audio.model_dump(), false)
        key = key_of(split, ingest.VERSION, cuts[split], audio, *files, noise_names)
        if ingest.is_outdated(workspace.audio_folder(split, key)):
            key = key_of(key, "av")
        target = workspace.audio_folder(split, key)
        jobs.append(ingest.Job(split, patterns, cut, target, key, extra, frozenset(false)))  # type: ignore[arg-type]
    return jobs
