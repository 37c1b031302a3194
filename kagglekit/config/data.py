"""`data:`, the host's files and the clips in them."""

import re
from typing import Literal

from pydantic import Field, field_validator

from kagglekit.config.base import FilePath, Section


class LabelTable(Section):
    """A CSV with the labels, for archives whose folders are not named by label."""

    file: str
    """Path of the CSV inside the train archive."""
    id: str
    """Column with the clip's file name."""
    label: str
    """Column with the label."""
    speaker: str | None = None
    """Column with the speaker; null if there is none."""
    separator: str | None = Field(default=None, min_length=1, max_length=1, exclude_if=lambda s: s is None)
    """Character between the labels of a clip; null if each clip has one label."""


class Data(Section):
    """The host's files and the clips in them. Each part of a pattern matches one folder or file name."""

    train_archive: str = "train.7z"
    """File that holds the training clips."""
    test_archive: str = "test.7z"
    """File that holds the test clips."""
    sample_submission: str = "sample_submission.7z"
    """Sample submission: a CSV, or an archive that contains one CSV."""
    train_clips: str = "train/audio/*/*.wav"
    """Pattern of the training clips inside the train archive."""
    test_clips: str = "test/audio/*.wav"
    """Pattern of the test clips inside the test archive."""
    noise_clips: str | None = "train/audio/_background_noise_/*.wav"
    """Pattern of long recordings without speech inside the train archive; null if there are none."""
    label_table: LabelTable | None = None
    """CSV with the labels; null if a clip's folder is named by its label."""
    speaker_pattern: str | None = r"^(.+?)_nohash_"
    """Regular expression on the file name whose first group is the speaker."""
    validation_list: str | None = "train/validation_list.txt"
    """List of the data set's own validation clips inside the train archive; ignored if absent."""
    testing_list: str | None = "train/testing_list.txt"
    """List of the data set's own test clips inside the train archive; ignored if absent."""
    leave_out: tuple[Literal["empty", "truncated", "unreadable", "silent", "duplicate"], ...] = (
        "empty",
        "unreadable",
        "duplicate",
    )
    """Problems for which training clips are excluded; such clips are listed by `prepare --list`."""
    leave_out_clips: FilePath | None = None
    """CSV with a column clip_id: further training clips to exclude, as the report exports them."""

    @field_validator("speaker_pattern")
    @classmethod
    def _has_one_group(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            try:
                groups = re.compile(pattern).groups
            except re.error as error:
                raise ValueError(f"not a regular expression: {error}") from error
            if groups < 1:
                raise ValueError("requires a group: the part in ( ) is the speaker")
        return pattern
