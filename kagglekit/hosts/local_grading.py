"""Grading of submissions to a local host, with the checks and messages of Kaggle."""

import math
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import NamedTuple

import polars as pl

from kagglekit.config import Config
from kagglekit.errors import HostError, KagglekitError, plural
from kagglekit.files.sample import read_sample
from kagglekit.files.tables import read_table, read_table_file
from kagglekit.files.workspace import Workspace
from kagglekit.hosts.base import HostFile, pick_file
from kagglekit.scoring.metrics import Truth
from kagglekit.scoring.task import Task

USAGES = ("Public", "Private", "Ignored")


class Grade(NamedTuple):
    """The result of a submission: an error, or a score for each usage that has rows."""

    error: str
    """Empty where the submission is well-formed."""
    public: float | None = None
    private: float | None = None


class Grader:
    """Grades submissions against the solution of `competition.local`."""

    def __init__(self, config: Config, files: Callable[[], list[HostFile]]) -> None:
        assert config.competition.local is not None
        self._files = files
        self._config = config
        self._local = config.competition.local

    @cached_property
    def _task(self) -> Task:
        """Read at first use: `prepare` may find the classes in the data."""
        return Task.of(Workspace(self._config).resolved().config)

    def grade(self, data: bytes) -> Grade:
        """Grade the bytes of a submission.

        Raises:
            HostError: the solution or the sample submission is missing or damaged.
        """
        columns = self._config.submission
        try:
            table, notes = read_table(data, "it", hint="")
        except KagglekitError as error:
            return Grade(f"Submission could not be read as CSV: {error}")
        if notes:  # what kagglekit understands, and Kaggle need not; `submit` sends a plain CSV
            return Grade(f"Submission is not a plain CSV: {', '.join(notes)}")
        if problem := _problem(table, columns.id, self._task.columns, self._valid_ids):
            return Grade(problem)
        if self._task.submits_probs:
            return self._grade_probabilities(table)
        if self._task.metric.name != "accuracy":
            return self._grade_labels(table)
        joined = self._solution.join(table.select(id=columns.id, guess=self._task.label_column), on="id")
        right = joined.select("usage", right=pl.col("guess") == pl.col("label"))
        return Grade("", _accuracy(right, "Public"), _accuracy(right, "Private"))

    def _grade_probabilities(self, table: pl.DataFrame) -> Grade:
        """Compute the competition's metric from one column of probabilities a class."""
        classes, metric = list(self._task.classes), self._task.metric
        try:
            guesses = table.select(
                pl.col(self._config.submission.id).alias("id"), pl.col(classes).cast(pl.Float64)
            )
        except pl.exceptions.PolarsError as error:
            return Grade(f"Submission contains values that are not numbers: {_first_line(error)}")
        if not guesses.select(pl.all_horizontal(pl.col(classes).is_finite().all())).item():
            return Grade("Submission contains values that are not finite")
        return self._graded(
            guesses, lambda truth, rows: metric.compute(truth, rows.select(classes).to_numpy())
        )

    def _grade_labels(self, table: pl.DataFrame) -> Grade:
        """Compute a metric of answers other than accuracy from one column of labels."""
        columns, metric, classes = self._config.submission, self._task.metric, list(self._task.classes)

        def judge(truth: Truth, rows: pl.DataFrame) -> float:
            places = rows["guess"].replace_strict(classes, range(len(classes)), default=-1).to_numpy()
            return metric.of_answers(truth, places[:, None] if metric.answer == "top_k" else places)

        return self._graded(table.select(id=columns.id, guess=self._task.label_column), judge)

    def _graded(self, guesses: pl.DataFrame, judge: Callable[[Truth, pl.DataFrame], float]) -> Grade:
        """Judge the public and the private rows of a submission.

        Raises:
            HostError: the metric is undefined on the solution.
        """
        joined, scores = self._solution.join(guesses, on="id"), []
        for usage in ("Public", "Private"):
            rows = joined.filter(pl.col("usage") == usage)
            score = judge(self._task.truth(rows["label"]), rows) if len(rows) else None
            if score is not None and math.isnan(score):
                raise HostError(
                    f"{self._task.metric.name} is undefined on the solution's {len(rows):,} {usage} rows",
                    hint="it needs rows of more than one class; see competition.local.solution",
                )
            scores.append(None if score is None else round(score, 5))
        return Grade("", *scores)

    @cached_property
    def _valid_ids(self) -> pl.Series:
        """The ids that a submission must have: those of the sample submission."""
        name = pick_file(self._files(), self._config.data.sample).name
        try:
            sample = read_sample(self._local.files / name, self._config.submission.id, self._task.columns)
        except KagglekitError as error:
            raise HostError(str(error), hint=error.hint) from error
        return pl.Series(sample.ids, dtype=pl.String)

    @cached_property
    def _solution(self) -> pl.DataFrame:
        """Columns id, label, usage. Without a Usage column every row is public."""
        path, columns = self._local.solution, self._config.submission
        if not path.is_file():
            raise HostError(f"the solution {path} does not exist", hint="set competition.local.solution")
        try:
            table = read_table_file(path, hint="competition.local.solution names it").frame
        except KagglekitError as error:
            raise HostError(str(error), hint=error.hint) from error
        if missing := {columns.id, self._task.label_column} - set(table.columns):
            raise HostError(
                f"{path} has no column {', '.join(sorted(missing))}", hint="it needs an id and a label"
            )
        usage = pl.col("Usage") if "Usage" in table.columns else pl.lit("Public")
        solution = table.select(id=columns.id, label=self._task.label_column, usage=usage)
        self._check_solution(solution)
        if self._task.multi:  # an empty cell is a row without a class
            labels = [self._task.label_of(cell or "") for cell in solution["label"]]
            solution = solution.with_columns(label=pl.Series(labels, dtype=pl.String))
        return solution

    def _check_solution(self, solution: pl.DataFrame) -> None:
        path = self._local.solution
        unknown = solution.filter(~pl.col("id").is_in(self._valid_ids.implode()))
        if len(unknown):
            raise HostError(
                f"{path} has {plural(len(unknown), 'id')} that the sample submission lacks, "
                f"first '{unknown['id'][0]}'",
                hint="does the solution belong to this competition?",
            )
        if solution["id"].is_duplicated().any():
            raise HostError(f"{path} has an id twice", hint="it needs one row for each id")
        if odd := set(solution["usage"]) - set(USAGES):
            raise HostError(f"{path}: unknown Usage '{odd.pop()}'", hint="use " + ", ".join(USAGES))


def _problem(table: pl.DataFrame, id_column: str, guesses: Sequence[str], valid_ids: pl.Series) -> str:
    """Return what Kaggle would report as wrong with a submission, or an empty text."""
    for column in (id_column, *guesses):
        if column not in table.columns:
            return f"Submission must have a column '{column}', found {', '.join(table.columns)}"
    if len(table) != len(valid_ids):
        return f"Submission must have {plural(len(valid_ids), 'row')}, found {len(table):,}"
    for column in (id_column, *guesses):
        if nulls := table[column].null_count():
            return f"Submission contains {plural(nulls, 'null value')} in column '{column}'"
    ids = table[id_column]
    if twice := ids.filter(ids.is_duplicated()).to_list():
        return f"Submission contains duplicate ids, first '{twice[0]}'"
    if unknown := ids.filter(~ids.is_in(valid_ids.implode())).to_list():
        return f"Submission contains {plural(len(unknown), 'unknown id')}, first '{unknown[0]}'"
    return ""


def _accuracy(right: pl.DataFrame, usage: str) -> float | None:
    """Compute the accuracy over the rows of one usage, to the five digits that Kaggle shows."""
    rows = right.filter(pl.col("usage") == usage)["right"]
    return round(int(rows.sum()) / len(rows), 5) if len(rows) else None


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
