"""The host's files, and what in them is a clip."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator

from kagglekit.config.base import FilePath, Section


class LabelTable(Section):
    """Labels that stand in a CSV inside the train archive instead of in folder names."""

    file: str
    """Path of the CSV inside the train archive."""
    id: str
    """Column with the clip's file name."""
    label: str
    """Column with the word."""
    speaker: str | None = None
    """Column with the speaker, if there is one."""
    separator: str | None = Field(default=None, min_length=1, max_length=1, exclude_if=lambda s: s is None)
    """Stands between the labels of a clip that has several; absent: each has one."""


class Data(Section):
    """The host's files, and what in them is a clip. Patterns match whole path components."""

    train_archive: str = "train.7z"
    test_archive: str = "test.7z"
    sample_submission: str = "sample_submission.7z"
    """A CSV, or an archive with one CSV in it."""
    train_clips: str = "train/audio/*/*.wav"
    test_clips: str = "test/audio/*.wav"
    noise_clips: str | None = "train/audio/_background_noise_/*.wav"
    """Long recordings without speech; kept whole."""
    label_table: LabelTable | None = None
    """Where absent, the name of a clip's folder is its word."""
    speaker_pattern: str | None = r"^(.+?)_nohash_"
    """Regular expression on the file name; its first group is the speaker."""
    validation_list: str | None = "train/validation_list.txt"
    """The data set's own list of validation clips, used where the archive has it."""
    testing_list: str | None = "train/testing_list.txt"
    leave_out: tuple[Literal["empty", "truncated", "unreadable", "silent", "duplicate"], ...] = (
        "empty",
        "unreadable",
        "duplicate",
    )
    """Train clips with these problems are listed but not trained on."""
    leave_out_clips: FilePath | None = None
    """CSV with a column clip_id: more clips not to train on, as the report's listening page exports them."""

    @field_validator("speaker_pattern")
    @classmethod
    def _has_one_group(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            try:
                groups = re.compile(pattern).groups
            except re.error as error:
                raise ValueError(f"not a regular expression: {error}") from error
            if groups < 1:
                raise ValueError("needs a group: the part in ( ) is the speaker")
        return pattern
