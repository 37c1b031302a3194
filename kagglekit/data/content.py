"""Read what the competition's files hold, before they are decoded."""

from typing import NamedTuple

import polars as pl

from kagglekit.data import ingest
from kagglekit.data.annotations import read_train
from kagglekit.data.audit import say_overlaps
from kagglekit.data.classes import named, resolve, spelled
from kagglekit.data.cuts import with_clip_ids
from kagglekit.data.jobs import jobs_of
from kagglekit.data.label_checks import checked_annotations
from kagglekit.files.resolve import list_files
from kagglekit.files.workspace import Workspace


class Content(NamedTuple):
    """The annotations, and what is to be decoded."""

    workspace: Workspace
    """With the classes that the files name."""
    annotations: pl.DataFrame
    jobs: list[ingest.Job]


def read_content(workspace: Workspace) -> Content:
    """Read the annotations, and list what is to be decoded.

    Raises:
        KagglekitError: the files do not fit competition.yaml.
    """
    noise_files = list_files(workspace, workspace.config.data.noise) if workspace.config.data.noise else []
    sets, annotations = read_train(workspace, noise_files)
    annotations = with_clip_ids(named(workspace, annotations))
    workspace = resolve(workspace, annotations)
    config = workspace.config
    annotations = checked_annotations(spelled(annotations, config.labels), config)
    say_overlaps(annotations)
    return Content(workspace, annotations, jobs_of(workspace, sets, annotations, noise_files))
