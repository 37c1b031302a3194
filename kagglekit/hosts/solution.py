"""Read a solution that has labels in a cell, one or several, whatever the shape of the submissions."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from kagglekit.config import Config
from kagglekit.errors import close_match, plural
from kagglekit.files.ids import describe
from kagglekit.scoring.label_cells import in_brackets, list_literal
from kagglekit.scoring.metrics import Truth
from kagglekit.scoring.task import Task


def truth_of_cells(cells: Sequence[str | None], config: Config, task: Task) -> Truth:
    """Return the true classes, (rows, classes).

    A cell holds one class; or several, between data.separator, submission.joiner, commas, semicolons or
    spaces, or as a list literal. Other words count as the filler class. Without a filler class, a row with
    such a word is never right, where rows have one class and the metric judges answers; elsewhere it is an
    error.

    Raises:
        ValueError: a label is not a class, and not allowed above.
    """
    given = (task.separator, config.submission.joiner, ",", ";", " ")
    joiners = list(dict.fromkeys(one for one in given if one))
    none = config.labels.none if config.submission.none is None else config.submission.none
    index = {name: place for place, name in enumerate(task.classes)}
    truth = np.zeros((len(cells), len(index)), dtype=bool)
    for row, cell in enumerate(cells):
        text = (cell or "").strip()
        for name in _names(text, {*index, none}, joiners) if task.multi else [text]:
            if name in index:
                truth[row, index[name]] = True
            elif task.filler is not None and name:
                truth[row, task.filler_index] = True
            elif name != none and (task.multi or task.metric.answer is None):
                raise ValueError(f"the label '{name}' is no class; {close_match(name, index)}")
    return truth


def no_classes(cells: pl.Series, task: Task) -> str:
    """Describe labels that no answer can be right about, or that may be meant as another class; "" if none.

    Where rows have one class: those that are no class, and where there is a filler class those that differ
    from a class in case alone.
    """
    if task.multi:
        return ""
    plain = {name.casefold(): name for name in task.classes}
    words = cells.fill_null("").str.strip_chars()
    odd = words.filter(~words.is_in(list(task.classes)))
    if task.filler is not None:
        odd = odd.filter(pl.Series([word.casefold() in plain or not word for word in odd], dtype=pl.Boolean))
    if not len(odd):
        return ""
    meaning = "they count as the filler class" if task.filler is not None else "no answer is right there"
    shown = describe(odd.unique().sort().to_list())
    return f"; {plural(len(odd), 'row')} with a label that is no class ({shown}): {meaning}"


def _names(text: str, known: set[str | None], joiners: Sequence[str]) -> list[str]:
    """Split a cell by the first joiner that leaves known names, or else by the first that it contains."""
    if not text or text in known:
        return [text] if text else []
    if (listed := list_literal(text)) is not None:
        return listed
    texts = [text, text[1:-1]] if in_brackets(text) else [text]  # [a, b], a list without quotes
    splits = [
        [part.strip() for part in one.split(joiner) if part.strip()] for joiner in joiners for one in texts
    ]
    fitting = [parts for parts in splits if known.issuperset(parts)]
    return (fitting or [parts for parts in splits if len(parts) > 1] or [[text]])[0]
