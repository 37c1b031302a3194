"""`data:`, the recordings of train and test, and where their labels stand.

A path may lie loose on the host, in an archive (`train.7z/train/audio/*/*.wav`), or in the bundle
`<slug>.zip`. In a pattern, `*` and `?` match within one folder or file name, and `**` any folders.
"""

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, field_validator, model_validator

from kagglekit.config.base import FilePath, Positive, Section, Share, kind_of_value, kind_or_number

FOLDER = "folder"
"""A field's value for "the name of the folder that the file lies in"."""
MOST_UNREADABLE = 0.2
Scalar = str | int | float | bool
FIELDS = ("label", "group", "fold", "split", "weight")
"""Keys whose values are fields, or may be."""


class FromName(Section):
    """A field that is read from the file's name, or from its path."""

    name: str | None = Field(default=None, exclude_if=lambda name: name is None)
    """Regular expression, searched in the file name; its first group is the value."""
    path: str | None = Field(default=None, exclude_if=lambda path: path is None)
    """The same, searched in the path with its folders, as `files` matches it: `^train/([^/]+)/`."""

    @field_validator("name", "path")
    @classmethod
    def _has_a_group(cls, pattern: str | None) -> str | None:
        if pattern is None:
            return None
        try:
            groups = re.compile(pattern).groups
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from error
        if groups < 1:
            raise ValueError("requires a group: the part in ( ) is the value")
        return pattern

    @model_validator(mode="after")
    def _one_expression(self) -> "FromName":
        if (self.name is None) == (self.path is None):
            raise ValueError("set name or path: the expression on the file's name, or on its path")
        return self

    @property
    def expression(self) -> str:
        """The regular expression."""
        return self.name or self.path or ""

    def __call__(self, path: str) -> str | None:
        """Return the value in a file's path, or None where the expression does not match."""
        match = re.search(self.expression, path if self.name is None else PurePosixPath(path).name)
        return match[1] if match else None


FieldOf = Annotated[
    Annotated[str, Tag("text")] | Annotated[FromName, Tag("section")], Discriminator(kind_of_value)
]
"""A field: a column of the table, `folder`, `{name: 'REGEX'}` on the file's name, or `path` on its path."""


class Secondary(Section):
    """Further labels of a recording, weaker than its main one."""

    column: str
    """Column with the labels: a list literal, or delimited."""
    as_: Literal["masked", "soft", "positive"] = Field(default="masked", alias="as")
    """masked: no loss for these classes. soft: a target of `target`. positive: as the main label."""
    target: Share = 0.5
    """Target of a soft secondary label."""


class Join(Section):
    """A table that says which file an id means."""

    table: str
    """Path of the table."""
    id: str
    """Column with the id."""
    file: str
    """Column with the file name."""


class Recordings(Section):
    """Audio files, and a table with a row for each of them or for parts of them."""

    files: str
    """Pattern of the audio files."""
    table: str | None = None
    """Path of the table that describes them; null if folders or file names say everything."""
    file: str | None = None
    """Column that names the recording: with or without folder and ending."""
    file_pattern: FromName | None = None
    """Part of the file name that the column `file` holds, such as {name: '_(\\d+)\\.'}."""
    by_way_of: Join | None = None
    """Another table that turns the ids of `file` into file names."""
    columns: tuple[str, ...] | None = None
    """Names of the table's columns, if it has no header."""
    where: Mapping[str, Scalar] = Field(default_factory=dict)
    """Rows of the table to use: column and value."""
    split: FieldOf | None = None
    """Field that says train or test: data.train uses what does not say test, data.test what does."""

    @model_validator(mode="after")
    def _table_and_file(self) -> "Recordings":
        if self.table is None:
            self._fields_without_table()
        if (self.table is None) != (self.file is None):
            have, lack = ("table", "file") if self.table else ("file", "table")
            raise ValueError(f"{have} is set, so {lack} is required: `file` names the column of the table")
        return self

    def _fields_without_table(self) -> None:
        """Refuse a field that is a column."""
        for key in FIELDS:
            spec = getattr(self, key, None)
            if isinstance(spec, str) and spec != FOLDER:
                raise ValueError(
                    f"{key}: '{spec}' is a column, so table is required; without one, write folder, or an "
                    "expression on the file name, {name: 'REGEX'}"
                )


class TrainSet(Recordings):
    """Labelled recordings."""

    label: FieldOf | None = FOLDER
    """Field with the label; null if the table has one column for each class."""
    delimiter: str | None = Field(default=None, min_length=1, max_length=3)
    """Separator of several labels in one cell. List literals such as ['a', 'b'] need none."""
    ragged: bool = False
    """Whether a row is an id followed by any number of labels."""
    hidden: str | None = None
    """Label of rows whose labels are hidden, such as '?'; they are not trained on."""
    secondary: Secondary | None = None
    """Weaker labels."""
    group: FieldOf | None = None
    """Field with what must not be split between folds: speaker, author, site."""
    fold: FieldOf | None = None
    """Field with the fold that validates the recording, where the folds are given."""
    start: str | None = None
    """Column with the start of an annotated part, in seconds or h:m:s."""
    end: str | None = None
    """Column with its end."""
    length: Positive | None = None
    """Seconds from start to end, where the table has only one of them."""
    low: str | None = None
    """Column with the lower edge of an annotated box in Hz; kept in the clips table."""
    high: str | None = None
    """Column with its upper edge."""
    positive: bool = True
    """false: the table says which labels are absent."""
    unnamed: Literal["absent", "unknown"] = "absent"
    """What the table says of classes that a row does not name; unknown: no loss for them."""
    weight: Annotated[
        Annotated[float, Tag("number"), Field(gt=0, le=1e9)]
        | Annotated[str, Tag("text")]
        | Annotated[FromName, Tag("section")],
        Discriminator(kind_or_number),
    ] = 1.0
    """Weight of the loss, or the field with it."""
    validated: bool | None = Field(default=None, alias="validate")
    """false: train on these recordings in every fold, and validate on none of them; null: false for an
    external folder, else true."""
    domain: Literal["train", "test"] = "train"
    """test: recordings of the test's own kind; where there are such, they alone are validated on."""
    external: FilePath | None = None
    """Folder of your own that holds files and table; never validated on unless `validate: true` is set."""

    @model_validator(mode="after")
    def _fields_fit(self) -> "TrainSet":
        if (self.start or self.end) and not (self.start and self.end) and self.length is None:
            raise ValueError("with only one of start and end, length is required")
        if self.length is not None and bool(self.start) == bool(self.end):
            raise ValueError("length is for a table with only one of start and end")
        if (self.start or self.end) and self.table is None:
            raise ValueError("start and end are columns, so table is required")
        if self.where and self.table is None:
            raise ValueError("where selects rows of a table, so table is required")
        if self.label is None and self.table is None:
            raise ValueError("label: null needs a table with one column for each class")
        if not self.positive and self.unnamed == "absent":
            raise ValueError("positive: false needs unnamed: unknown, for it says nothing of other classes")
        return self

    @property
    def judged(self) -> bool:
        """Whether folds validate on these recordings."""
        return self.external is None if self.validated is None else self.validated


class TestSet(Recordings):
    """Recordings to predict."""

    __test__ = False  # for pytest, which would collect it

    unreadable: Share = Field(default=MOST_UNREADABLE, exclude_if=lambda most: most == MOST_UNREADABLE)
    """Largest share of the test recordings that may be empty or in no format that can be read; where there
    are more, `prepare` stops."""


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, Mapping) else value


def _as_names(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class Data(Section):
    """The recordings of train and test, and the sample submission."""

    sample: str | None = None
    """Sample submission: a CSV, or an archive that contains one CSV; null: the host offers none, and rows are
    in the order of the test."""
    train: Annotated[tuple[TrainSet, ...], BeforeValidator(_as_list), Field(min_length=1)]
    """One training set or a list of several."""
    test: TestSet
    """Test recordings."""
    unlabelled: Annotated[tuple[str, ...], BeforeValidator(_as_names)] = Field(
        default=(), exclude_if=lambda patterns: not patterns
    )
    """Pattern of further recordings without labels, or a list of patterns, which `pseudo` and `distill` may
    label; labelled recordings and those of the test are left out."""
    noise: str | None = None
    """Pattern of long recordings without any class, from which silence is cut."""
    validation_list: str | None = None
    """List of the data set's own validation clips; ignored if absent."""
    testing_list: str | None = None
    """List of the data set's own test clips; ignored if absent."""
    mounted: FilePath | None = None
    """Folder in which the host's files lie already; null: the folders of a Kaggle notebook, where there."""
    leave_out: tuple[Literal["empty", "truncated", "unreadable", "silent", "duplicate"], ...] = (
        "empty",
        "unreadable",
        "duplicate",
    )
    """Problems for which training clips are excluded; such clips are listed by `prepare --list`."""
    leave_out_clips: FilePath | None = None
    """CSV with a column clip_id: further training clips to exclude, as the report exports them."""

    @property
    def external(self) -> list[str]:
        """The training data besides the competition's own: folders by their names, and Kaggle data sets."""
        folders = [train.external.name for train in self.train if train.external is not None]
        datasets = [
            "/".join(train.files.split("/")[:2]) for train in self.train if train.files[:7] == "kaggle:"
        ]
        return list(dict.fromkeys(folders + datasets))

    @property
    def separator(self) -> str:
        """The text between the labels of a clip in kagglekit's own tables."""
        delimiters = (train.delimiter for train in self.train if train.delimiter)
        return next(delimiters, "|")
