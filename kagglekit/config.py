"""What competition.yaml may say: frozen sections with their checks. config_file.py reads it.

Paths in the file are relative to the folder that holds it. Precedence, weakest first: the
defaults below, a model file's DEFAULTS, the YAML's `train:`, its `models.<name>.train:`, `--set`,
parameters that a search found.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from kagglekit.config_audio import Audio as Audio
from kagglekit.config_audio import Features as Features
from kagglekit.config_search import Range, Search
from kagglekit.config_train import Augment as Augment
from kagglekit.config_train import Train as Train
from kagglekit.errors import ConfigError, close_match
from kagglekit.section import Count as Count
from kagglekit.section import FilePath, from_root
from kagglekit.section import Positive as Positive
from kagglekit.section import Section as Section
from kagglekit.section import Share as Share


class LocalHost(Section):
    """A folder that stands in for Kaggle: same files, a solution, graded here."""

    files: FilePath
    """Folder with the competition's files."""
    solution: FilePath
    """CSV of id, label and, optionally, Usage (Public or Private)."""
    daily_limit: Count = 10
    """Submissions a day (UTC)."""
    grading_seconds: Annotated[float, Field(ge=0)] = 1.0
    """Seconds between PENDING and COMPLETE."""
    deadline: datetime | None = None
    """No submission counts after it (UTC if it names no zone)."""


def _known_host(name: str) -> str:
    from kagglekit.hosts import HOSTS  # here, because the hosts take these sections

    if name not in HOSTS:
        raise ValueError(f"no host '{name}'; {close_match(name, HOSTS)}")
    return name


class Competition(Section):
    """Which competition, and where it lives."""

    slug: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    """The last part of the competition's address."""
    host: Annotated[str, AfterValidator(_known_host)] = "kaggle"
    """Where files come from and submissions go: a name in `kagglekit.hosts.HOSTS`."""
    local: LocalHost | None = None
    """Needed when host is local."""
    metric: Literal["accuracy", "lwlrap", "map"] = "accuracy"
    """What the host scores: answers, or the ranks of probabilities where a clip may have several labels."""

    @model_validator(mode="after")
    def _local_is_described(self) -> Competition:
        if self.host == "local" and self.local is None:
            raise ValueError("host is local, but there is no 'local' section with files and solution")
        return self


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


class Network(Section):
    """How patient kagglekit is with the host."""

    timeout_s: Positive = 30.0
    """Seconds without a byte after which a request has failed."""
    tries: Count = 6
    """Tries of one request, and of one download without progress."""
    pause_s: Annotated[float, Field(ge=0)] = 1.0
    """Seconds before the second try; doubled before each further one, with jitter."""


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


class Labels(Section):
    """The competition's classes."""

    targets: Annotated[tuple[str, ...], Field(min_length=1)]
    """Words that are classes of their own."""
    filler: str | None = "unknown"
    """The class of every other word."""
    silence: str | None = "silence"
    """The class of clips without speech, cut from the noise recordings. null: no such class, and no noise is
    added in training either."""
    silence_share: Share = 0.1
    """Silence clips made for training, as a share of the spoken ones."""
    keep_fillers: Annotated[float, Field(gt=0)] | Literal["all"] = "all"
    """Filler clips trained on: all, a number (> 1), or a share (<= 1)."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Targets, then silence, then filler: the order of every logit in the workspace."""
        return self.targets + tuple(x for x in (self.silence, self.filler) if x is not None)

    @model_validator(mode="after")
    def _distinct(self) -> Labels:
        twice = sorted({c for c in self.classes if self.classes.count(c) > 1})
        if twice:
            raise ValueError(f"named twice: {', '.join(twice)}")
        return self


class Validation(Section):
    """Folds, and the test prior that the CV score is weighted to."""

    folds: Annotated[int, Field(ge=2, le=20)] = 5
    seed: int = 0
    prior: Mapping[str, Share] = Field(default_factory=dict)
    """Share of a class in the hidden test; classes not named divide the rest equally.
    Empty: all classes weigh as they do in the training data."""
    never_heard: Share = 0.5
    """Share of the test's filler clips whose word no training clip contains."""

    @model_validator(mode="after")
    def _prior_is_a_share(self) -> Validation:
        if sum(self.prior.values()) > 1 + 1e-9:
            raise ValueError(f"the prior adds up to {sum(self.prior.values()):g}, more than 1")
        return self


class ModelSection(Section):
    """What this competition changes about one architecture."""

    checkpoint: str | None = None
    """Hub name of a pretrained model, or its folder, relative to the YAML file as all paths are."""
    model: dict[str, Any] = Field(default_factory=dict)
    """Fields of the architecture's Config."""
    train: Train = Train()
    """What is set here overrides the top-level `train:` for this architecture alone."""
    features: Features = Features()
    """What is set here overrides the top-level `features:` for this architecture alone."""
    space: dict[str, Range | None] = Field(default_factory=dict)
    """What is set here overrides `search.space` for this architecture alone."""

    @field_validator("checkpoint")
    @classmethod
    def _folder_from_root(cls, checkpoint: str | None, info: ValidationInfo) -> str | None:
        folder = from_root(Path(checkpoint or ""), info)
        return str(folder) if checkpoint and folder.is_dir() else checkpoint


def _known_model(name: str) -> str:
    from kagglekit.models import MODELS  # here, because the models' own Configs are Sections

    if name not in MODELS:
        raise ValueError(f"no model '{name}'; {close_match(name, MODELS)}")
    return name


ModelName = Annotated[str, AfterValidator(_known_model)]


def _known_method(name: str) -> str:
    from kagglekit.ensemble.methods import METHODS  # here, because they take this section

    return _known(name, METHODS, "ensemble method")


def _known_decision(name: str) -> str:
    from kagglekit.ensemble.unknown import DECISIONS

    return _known(name, DECISIONS, "decision")


def _known(name: str, names: Iterable[str], what: str) -> str:
    if name not in (AUTO, *names):
        raise ValueError(f"no {what} '{name}'; {close_match(name, (AUTO, *names))}")
    return name


AUTO = "auto"
"""What `kagglekit ensemble` chooses by nested CV."""


class Ensemble(Section):
    """How runs are blended, and how the blend decides."""

    method: Annotated[str, AfterValidator(_known_method)] = "caruana"
    """A method of `kagglekit ensemble`'s table; auto: the one that it chooses."""
    decision: Annotated[str, AfterValidator(_known_decision)] = AUTO
    """A decision of its second table, none for the largest probability; auto: the one that it chooses."""
    rounds: Count = 25
    """Models that a selection picks, with replacement."""
    bags: Count = 20
    """Selections on random halves of the runs that are averaged."""
    seed: int = 0


class Submission(Section):
    """Columns of the submission CSV."""

    id: str = "fname"
    label: str = "label"


class Config(Section):
    """All of competition.yaml."""

    competition: Competition
    labels: Labels
    data: Data = Data()
    network: Network = Network()
    audio: Audio = Audio()
    validation: Validation = Validation()
    features: Features = Features()
    train: Train = Train()
    """What is set here overrides each architecture's own defaults."""
    models: dict[ModelName, ModelSection] = Field(default_factory=dict)
    search: Search = Search()
    ensemble: Ensemble = Ensemble()
    submission: Submission = Submission()
    jobs: Count | Literal["auto"] = "auto"
    """Folds trained at once, each on its share of the cores; auto: on a CPU as many as there are cores, for
    trainings that are long enough for it."""
    processes: Count = 1
    """Processes that train one fold together, each on its part of every batch: for models that are large."""
    workspace: FilePath = Field(default=Path(".kagglekit"), validate_default=True)
    """Everything that can be made again."""
    submissions: FilePath = Field(default=Path("submissions"), validate_default=True)
    """CSVs and the leaderboard log."""

    @model_validator(mode="after")
    def _labels_fit(self) -> Config:
        for name in self.validation.prior:
            if name not in self.labels.classes:
                hint = close_match(name, self.labels.classes)
                raise ValueError(f"validation.prior names '{name}', which is not a class; {hint}")
        if self.labels.silence and self.data.noise_clips is None:
            raise ValueError("labels.silence is cut from noise, but data.noise_clips names none")
        self._check_separator()
        return self

    @property
    def separator(self) -> str | None:
        """Between the labels of a clip; None where each has one."""
        return None if self.data.label_table is None else self.data.label_table.separator

    def _check_separator(self) -> None:
        metric = self.competition.metric
        if (metric == "accuracy") != (self.separator is None):
            several = "of one label a clip" if metric == "accuracy" else "of several labels a clip"
            raise ValueError(
                f"competition.metric {metric} is {several}: data.label_table.separator says whether there are"
            )
        if self.separator is None:
            return
        if self.labels.filler or self.labels.silence or self.validation.prior:
            raise ValueError(
                "with several labels a clip, labels.filler and labels.silence are null, and there is no prior"
            )
        if odd := [name for name in self.labels.targets if self.separator in name]:
            raise ValueError(f"the label '{odd[0]}' holds the separator '{self.separator}'")


Settings = TypeVar("Settings", bound=Section)


def overlay(base: Settings, *over: Section | Mapping[str, Any]) -> Settings:
    """`base` with what is explicitly set in each of `over`, later ones stronger, sections merged.

    Raises:
        ConfigError: a mapping in `over` has an unknown key or an impossible value.
    """
    merged = base.model_dump()
    for layer in over:
        _merge(merged, layer.model_dump(exclude_unset=True) if isinstance(layer, Section) else layer)
    try:
        return type(base).model_validate(merged)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise ConfigError("; ".join(problems), hint="see the settings in README.md") from error


def _merge(into: dict[str, Any], layer: Mapping[str, Any]) -> None:
    for key, value in layer.items():
        if isinstance(value, Mapping) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value
