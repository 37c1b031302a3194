"""The shapes of a submission: from probabilities to columns, and from columns to answers.

label: the likeliest class. top_k: the k likeliest, joined. label_list: all classes that the metric's rule
decides for, joined. probability: of one class. probabilities: a column for each class. long: a row for each
row of the test and each class, with a probability or with True and False.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kagglekit.config import Config, Submission
from kagglekit.errors import ConfigError, SubmissionError, close_match
from kagglekit.files.sample import PAIR, column_classes
from kagglekit.scoring.long_ids import LongIds
from kagglekit.scoring.metrics import Metric
from kagglekit.scoring.metrics.base import Answers, Scores, Truth
from kagglekit.scoring.task import Task

LABEL = "label"  # the column of answers where neither competition.yaml nor the sample names one


@dataclass(frozen=True)
class Shape:
    """What a submission's columns hold."""

    settings: Submission
    classes: tuple[str, ...]
    metric: Metric
    multi: bool
    long_ids: LongIds

    @classmethod
    def of(cls, config: Config) -> "Shape":
        """Return the shape that competition.yaml describes, whose classes are known."""
        task = Task.of(config)
        ids = LongIds(config.submission.ids, config.rows.id, task.classes)
        return cls(config.submission, task.classes, task.metric, task.multi, ids)

    @property
    def name(self) -> str:
        return self.settings.shape

    @property
    def is_long(self) -> bool:
        return self.name == "long"

    @property
    def gives_scores(self) -> bool:
        """Whether `read` returns scores (rows, classes), of which the metric makes its own answers."""
        return self.name in ("probability", "probabilities", "long") or self.metric.answer is None

    def positive(self, column: str) -> int:
        """Return the class of the shape `probability`: by default the one that its column is called as, or
        else the last.
        """
        positive = self.settings.positive
        if positive is None:
            named = [place for place, name in enumerate(self.classes) if name.casefold() == column.casefold()]
            return named[0] if len(named) == 1 else len(self.classes) - 1
        if positive not in self.classes:
            raise SubmissionError(
                f"submission.positive '{positive}' is no class", hint=close_match(positive, self.classes)
            )
        return self.classes.index(positive)

    def check_fit(self) -> None:
        """Check that the metric can be computed of the shape.

        Raises:
            ConfigError: it cannot.
        """
        settings, metric = self.settings, self.metric
        if self.name == "probability" and len(self.classes) > 2:
            raise ConfigError(
                f"submission.shape probability is for two classes, and there are {len(self.classes)}",
                hint="use probabilities, or merge classes with labels.names",
            )
        if self.name == "label_list" and metric.answer in ("class", "top_k"):
            raise ConfigError(
                f"the metric {metric.name} does not fit submission.shape label_list",
                hint="it needs label" if metric.answer == "class" else "it needs top_k",
            )
        if self.name in ("top_k", "label_list"):
            self._check_joiner()
        if self.name == "top_k" and metric.answer == "top_k" and settings.k != metric.k:
            raise ConfigError(
                f"submission.k is {settings.k}, and the metric {metric.name} judges {metric.k} labels",
                hint="make competition.metric.k and submission.k equal",
            )

    def _check_joiner(self) -> None:
        """Check that labels that are joined can be told apart.

        Raises:
            ConfigError: a label contains the joiner.
        """
        joiner, names = self.settings.joiner, [*self.classes, self.settings.none or ""]
        if odd := [name for name in names if joiner in name]:
            raise ConfigError(
                f"submission.joiner is '{joiner}', and the label '{odd[0]}' contains it",
                hint="set the text that stands between the labels in the host's cells, or change the labels "
                "with labels.names",
            )

    # --- writing ---

    def columns(self, probs: Scores, names: Sequence[str]) -> dict[str, pl.Series]:
        """Return the columns of a submission besides the ids, a row for each row of `probs`.

        Args:
            probs: (rows, classes).
            names: of the columns: one, or one for each class in the order of the sample.
        """
        if self.name == "probabilities":
            places = column_classes(names, self.classes)
            return {name: pl.Series(probs[:, place]) for name, place in zip(names, places, strict=True)}
        (name,) = names
        if self.name == "probability":
            return {name: pl.Series(probs[:, self.positive(name)])}
        return {name: pl.Series(self._cells(probs), dtype=pl.String)}

    def _cells(self, probs: Scores) -> list[str]:
        names = np.asarray(self.classes, dtype=object)
        if self.name == "label":
            return list(names[probs.argmax(1)])
        if self.name == "top_k":
            order = np.argsort(-probs, axis=1, kind="stable")[:, : self.settings.k]
            count = (
                self.decide(probs).sum(1) if self.metric.answer == "set" else [self.settings.k] * len(probs)
            )
            return [self.settings.joiner.join(row[:k]) for row, k in zip(names[order], count, strict=True)]
        decided = self.decide(probs)
        return [self.settings.joiner.join(names[row]) or self.settings.none or "" for row in decided]

    def decide(self, probs: Scores) -> Truth:
        """Return which classes are answered, (rows, classes): as the metric decides, or the likeliest one."""
        if self.multi:
            return self.metric.decide_sets(probs)
        return np.asarray(probs.argmax(1)[:, None] == np.arange(probs.shape[1]))

    def predicted(self, clip_ids: Sequence[str], probs: Scores, names: Sequence[str]) -> pl.DataFrame:
        """Return clip_id and the columns of a submission; clip_id is the long id where the shape is long.

        Args:
            clip_ids: (rows,), ids of the rows.
            probs: (rows, classes).
            names: of the columns, as `columns` has them.

        Raises:
            SubmissionError: submission.ids does not fit the rows' ids.
        """
        if not self.is_long:
            return pl.DataFrame({"clip_id": list(clip_ids), **self.columns(probs, names)})
        values = self.decide(probs).ravel() if self.settings.answers else probs.ravel()
        (name,) = names
        return pl.DataFrame({"clip_id": self.ids(clip_ids), name: pl.Series(values)})

    def ids(self, clip_ids: Sequence[str]) -> list[str]:
        """Return the ids of a submission's rows: the clips', or long ids with the classes fastest.

        Raises:
            SubmissionError: submission.ids does not fit the rows' ids.
        """
        if not self.is_long:
            return list(clip_ids)
        try:
            return [self._long_id(one, place) for one in clip_ids for place in range(len(self.classes))]
        except ValueError as error:
            hint = "correct submission.ids, or rows.id"
            raise SubmissionError(f"no id for '{clip_ids[0]}': {error}", hint=hint) from error

    def _long_id(self, row_id: str, place: int) -> str:
        if self.settings.class_column is not None:
            return f"{row_id}{PAIR}{self.classes[place]}"
        return self.long_ids.write(row_id, place)

    # --- reading ---

    def read(self, table: pl.DataFrame) -> tuple[list[str], Scores | Answers]:
        """Return a submission's row keys, and its scores (rows, classes), or its answers as the metric takes.

        Args:
            table: all columns text.

        Raises:
            ValueError: a cell is no number, no class, or no id.
        """
        ids = table[self.settings.id].to_list()
        if self.is_long:
            return self._read_long(table)
        if self.name == "probabilities":
            names = [name for name in table.columns if name not in (self.settings.id, "Usage")]
            places = column_classes(names, self.classes)
            scores = np.empty((len(table), len(self.classes)))
            scores[:, places] = numbers(table, names)
            return ids, scores
        column = self.answer_column(table.columns)
        if self.name == "probability":
            return ids, self._spread(numbers(table, [column])[:, 0], self.positive(column))
        cells = [(cell or "").strip() for cell in table[column]]
        lists = [[cell] if self.name == "label" else cell.split(self.settings.joiner) for cell in cells]
        return ids, self._answers([[name for name in some if name] for some in lists])

    def answer_column(self, columns: Sequence[str]) -> str:
        """Return the column of the answers: the one that competition.yaml names, or the only other one."""
        others = [
            name for name in columns if name not in (self.settings.id, self.settings.class_column, "Usage")
        ]
        return self.settings.label or (others[0] if len(others) == 1 else LABEL)

    def _spread(self, positive: NDArray[np.float64], place: int) -> Scores:
        """Return (rows, classes): the probability of the positive class, and of the other one if any."""
        scores = np.repeat((1 - positive)[:, None], len(self.classes), axis=1)
        scores[:, place] = positive
        return scores

    def _answers(self, lists: list[list[str]]) -> Answers:
        """Turn lists of labels into answers as the metric takes them; unknown labels are wrong ones."""
        index = {name: place for place, name in enumerate(self.classes)}
        if self.name == "top_k" and self.metric.answer == "class":
            return np.array([index.get(names[0], -1) if names else -1 for names in lists], np.int64)
        if self.name == "top_k" and self.metric.answer == "top_k":
            longest = max(map(len, lists), default=1) or 1
            places = np.full((len(lists), longest), -1)
            for row, names in enumerate(lists):
                places[row, : len(names)] = [index.get(name, -1) for name in names]
            return places
        truth = self.truth_of(lists)
        if self.name == "label" and self.metric.answer == "class":
            return np.where(truth.any(1), truth.argmax(1), -1)
        if self.name == "label" and self.metric.answer == "top_k":
            return np.where(truth.any(1), truth.argmax(1), -1)[:, None]
        return truth if self.metric.answer == "set" else truth.astype(np.float64)

    def truth_of(self, lists: Sequence[Sequence[str]]) -> Truth:
        """Return which classes the lists name, (rows, classes)."""
        index = {name: place for place, name in enumerate(self.classes)}
        truth = np.zeros((len(lists), len(self.classes)), dtype=bool)
        for row, names in enumerate(lists):
            for name in names:
                if name in index:
                    truth[row, index[name]] = True
        return truth

    def _read_long(self, table: pl.DataFrame) -> tuple[list[str], Scores]:
        keys, places = self.read_long_ids(table)
        rows = {key: row for row, key in enumerate(dict.fromkeys(keys))}
        scores = np.full((len(rows), len(self.classes)), np.nan)
        values = numbers(table, [self.answer_column(table.columns)])[:, 0]
        scores[[rows[key] for key in keys], places] = values
        if np.isnan(scores).any():
            row, place = np.argwhere(np.isnan(scores))[0]
            raise ValueError(f"row {list(rows)[row]!r} has no value for {self.classes[place]!r}")
        return list(rows), scores

    def read_long_ids(self, table: pl.DataFrame) -> tuple[list[str], NDArray[np.int64]]:
        """Return the key of the row and the place of the class of each line of a long table."""
        ids = table[self.settings.id]
        if self.settings.class_column is not None:
            index = {name: place for place, name in enumerate(self.classes)}
            names = table[self.settings.class_column].to_list()
            if odd := [name for name in names if name not in index]:
                raise ValueError(f"{odd[0]!r} is no class")
            return ids.to_list(), np.array([index[name] for name in names], np.int64)
        read = [self.long_ids.read(text) for text in ids]
        return [key for key, _ in read], np.array([place for _, place in read], np.int64)

    def truth(self, table: pl.DataFrame) -> tuple[list[str], Truth]:
        """Return the row keys and the true classes (rows, classes) of a solution with numbers.

        Raises:
            ValueError: as `read` does, or a number is neither 0 nor 1.
        """
        keys, read = self.read(table)
        if len(odd := read[(read != 0) & (read != 1)]):
            raise ValueError(f"{odd[0]:g} is neither 0 nor 1")
        return keys, read == 1


def numbers(table: pl.DataFrame, columns: Sequence[str]) -> NDArray[np.float64]:
    """Return columns as numbers, (rows, columns); True and False are 1 and 0.

    Raises:
        ValueError: a cell is no finite number.
    """
    flags = {"true": "1", "false": "0"}
    read = table.select(
        pl.col(name).str.to_lowercase().replace(flags).cast(pl.Float64, strict=False) for name in columns
    )
    values = read.to_numpy().astype(np.float64)
    if not np.isfinite(values).all():
        row, column = np.argwhere(~np.isfinite(values))[0]
        raise ValueError(f"column '{columns[column]}' has {table[columns[column]][int(row)]!r}, no number")
    return values
