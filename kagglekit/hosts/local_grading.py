"""Grading of submissions to a local host, with the checks and messages of Kaggle."""

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kagglekit.config import Config
from kagglekit.errors import HostError, KagglekitError, listed, plural
from kagglekit.files.resolve import read_file
from kagglekit.files.sample import PAIR, Sample, answer_columns, read_sample
from kagglekit.files.tables import read_table, read_table_file
from kagglekit.files.workspace import Workspace
from kagglekit.hosts.solution import no_classes, truth_of_cells
from kagglekit.scoring.metrics import Answers, Truth
from kagglekit.scoring.shapes import Shape
from kagglekit.scoring.task import Task

USAGE = "Usage"
USAGES = ("Public", "Private", "Ignored")


class Grade(NamedTuple):
    """The result of a submission: an error, or a score for each usage that has rows."""

    error: str
    """Empty where the submission is well-formed."""
    public: float | None = None
    private: float | None = None


def check_solution(config: Config) -> str:
    """Read the solution of a local host as grading does, so that no training comes before its faults.

    Returns:
        What was checked, for people; "" for another host.

    Raises:
        HostError: the solution or the sample submission is missing or damaged, or they do not fit.
    """
    return Grader(config).check() if config.competition.host == "local" else ""


class Grader:
    """Grades submissions against the solution of `competition.local`."""

    def __init__(self, config: Config) -> None:
        assert config.competition.local is not None
        self._config = config
        self._local = config.competition.local

    @property
    def _shape_config(self) -> Config:
        """The settings with the classes that `prepare` found in the data."""
        return Workspace(self._config).resolved().config

    @cached_property
    def _shape(self) -> Shape:
        """Read at first use: `prepare` may find the classes in the data."""
        config = self._shape_config
        if not config.labels.known:
            raise HostError("the classes are not known yet", hint="find them in the data: kagglekit prepare")
        shape = Shape.of(config)
        shape.check_fit()
        return shape

    def check(self) -> str:
        """Read the sample submission and the solution, and return what was checked; see `check_solution`."""
        self._require_solution()
        if not Workspace(self._config).resolved().config.labels.known:
            return "is there; it is read once kagglekit prepare has found the classes"
        self._solution  # noqa: B018
        self._sample  # noqa: B018
        column = self._label_column(self._table)
        odd = "" if column is None else no_classes(self._table[column], Task.of(self._shape_config))
        return f"fits the sample submission{odd}"

    def grade(self, data: bytes) -> Grade:
        """Grade the bytes of a submission.

        Raises:
            HostError: the solution or the sample submission is missing or damaged.
        """
        try:
            table, notes = read_table(data, "it", hint="")
        except KagglekitError as error:
            return Grade(f"Submission could not be read as CSV: {error}")
        if notes:  # what kagglekit understands, and Kaggle need not; `submit` sends a plain CSV
            return Grade(f"Submission is not a plain CSV: {', '.join(notes)}")
        lists = self._shape.name in ("label_list", "top_k")
        if problem := _problem(table, self._id_columns, self._sample.columns, self._sample.ids, lists):
            return Grade(problem)
        try:
            keys, answers = self._shape.read(table)
        except ValueError as error:
            return Grade(f"Submission cannot be graded: {error}")
        return self._graded(keys, answers)

    def _graded(self, keys: list[str], answers: Answers) -> Grade:
        """Judge the public and the private rows of a submission.

        Raises:
            HostError: the metric is undefined on the solution.
        """
        metric, (solution_keys, truth, usage), scores = self._shape.metric, self._solution, []
        row_of = dict(zip(keys, range(len(keys)), strict=True))
        order = np.array([row_of[key] for key in solution_keys], np.int64)
        judge = metric.compute if self._shape.gives_scores else metric.of_answers
        for name in ("Public", "Private"):
            rows = usage == name
            score = judge(truth[rows], answers[order[rows]]) if rows.any() else None
            if score is not None and math.isnan(score):
                raise HostError(
                    f"{metric.name} is undefined on the solution's {int(rows.sum()):,} {name} rows",
                    hint="it needs rows of more than one class; see competition.local.solution",
                )
            scores.append(None if score is None else round(score, 5))
        return Grade("", *scores)

    @property
    def _id_columns(self) -> list[str]:
        settings = self._config.submission
        return [settings.id, *([settings.class_column] if settings.class_column else [])]

    @cached_property
    def _sample(self) -> Sample:
        """The columns and ids of a submission: the sample's, or the solution's where the sample is short."""
        settings, name = self._config.submission, self._config.data.sample
        try:
            if name is None:
                columns = self._table.columns
                names = answer_columns(
                    [c for c in columns if c != USAGE], "it", settings, self._shape.classes
                )
                return Sample(self._solution_ids, settings.id, names, (), settings.class_column)
            data = read_file(Workspace(self._config), name, self._local.files)
            table = read_table(data, name, hint="data.sample in competition.yaml names the file")
            sample = read_sample(table, name, settings, self._shape.classes)
        except KagglekitError as error:
            raise HostError(str(error), hint=error.hint) from error
        notebook = self._config.competition.delivery == "notebook"
        return replace(sample, ids=self._solution_ids) if notebook else sample

    def _require_solution(self) -> None:
        if not self._local.solution.is_file():
            raise HostError(
                f"the solution {self._local.solution} does not exist", hint="set competition.local.solution"
            )

    @cached_property
    def _table(self) -> pl.DataFrame:
        """The solution as a table."""
        path = self._local.solution
        self._require_solution()
        try:
            table = read_table_file(path, hint="competition.local.solution names it").frame
            table = table.rename({name: USAGE for name in table.columns if name.lower() == USAGE.lower()})
        except KagglekitError as error:
            raise HostError(str(error), hint=error.hint) from error
        if missing := set(self._id_columns) - set(table.columns):
            raise HostError(
                f"{path} has no column {', '.join(sorted(missing))}", hint="it needs an id and a label"
            )
        return table

    @property
    def _solution_ids(self) -> list[str]:
        return self._table.select(pl.concat_str(self._id_columns, separator=PAIR)).to_series().to_list()

    @cached_property
    def _solution(self) -> tuple[list[str], Truth, NDArray[np.str_]]:
        """The row keys, their true classes (rows, classes) and usages. Without Usage every row is public."""
        table, shape = self._table, self._shape
        self._check_solution(table)
        usage = table[USAGE].to_list() if USAGE in table.columns else ["Public"] * len(table)
        try:
            if (column := self._label_column(table)) is not None:
                config = Workspace(self._config).resolved().config
                truth = truth_of_cells(table[column].to_list(), config, Task.of(config))
                return table[config.submission.id].to_list(), truth, np.array(usage)
            keys, truth = shape.truth(table)
            lines = shape.read_long_ids(table)[0] if shape.is_long else keys
        except ValueError as error:
            raise HostError(f"{self._local.solution}: {error}", hint="correct the solution") from error
        by_key = dict(zip(lines, usage, strict=True))
        return keys, truth, np.array([by_key[key] for key in keys])

    def _label_column(self, table: pl.DataFrame) -> str | None:
        """Return the column of the labels; None where the solution has the numbers of a submission."""
        shape = self._shape
        others = [name for name in table.columns if name not in (*self._id_columns, USAGE)]
        if shape.name == "probabilities":
            return others[0] if len(others) == 1 and len(shape.classes) != 1 else None
        column = shape.answer_column(table.columns)
        if column not in table.columns:
            raise HostError(
                f"{self._local.solution} has no column {column}", hint="it needs an id and a label"
            )
        if shape.name == "probability":
            words = table[column].str.to_lowercase()
            is_number = words.cast(pl.Float64, strict=False).is_not_null() | words.is_in(["true", "false"])
            return None if is_number.all() else column
        return None if shape.is_long else column

    def _check_solution(self, table: pl.DataFrame) -> None:
        path, ids = self._local.solution, pl.Series(self._solution_ids, dtype=pl.String)
        if self._config.data.sample is not None and self._config.competition.delivery == "csv":
            unknown = ids.filter(~ids.is_in(pl.Series(self._sample.ids, dtype=pl.String).implode()))
            if len(unknown):
                raise HostError(
                    f"{path} has {plural(len(unknown), 'id')} that the sample submission lacks, "
                    f"first '{unknown[0]}'",
                    hint="does the solution belong to this competition?",
                )
        if nulls := ids.null_count():
            raise HostError(f"{path} has {plural(nulls, 'row')} without an id", hint="fill or remove them")
        if ids.is_duplicated().any():
            raise HostError(f"{path} has an id twice", hint="it needs one row for each id")
        if USAGE in table.columns and (odd := set(table[USAGE]) - set(USAGES)):
            raise HostError(f"{path}: unknown Usage '{odd.pop()}'", hint="use " + ", ".join(USAGES))


def _problem(
    table: pl.DataFrame, id_columns: Sequence[str], guesses: Sequence[str], ids: Sequence[str], lists: bool
) -> str:
    """Return what Kaggle would report as wrong with a submission, or an empty text."""
    for column in (*id_columns, *guesses):
        if column not in table.columns:
            return f"Submission must have a column '{column}', found {listed(table.columns)}"
    if len(table) != len(ids):
        return f"Submission must have {plural(len(ids), 'row')}, found {len(table):,}"
    for column in (*id_columns, *([] if lists else guesses)):
        if nulls := table[column].null_count():
            return f"Submission contains {plural(nulls, 'null value')} in column '{column}'"
    submitted = table.select(pl.concat_str(id_columns, separator=PAIR)).to_series()
    if twice := submitted.filter(submitted.is_duplicated()).to_list():
        return f"Submission contains duplicate ids, first '{twice[0]}'"
    if unknown := submitted.filter(~submitted.is_in(pl.Series(ids, dtype=pl.String).implode())).to_list():
        return f"Submission contains {plural(len(unknown), 'unknown id')}, first '{unknown[0]}'"
    return ""
