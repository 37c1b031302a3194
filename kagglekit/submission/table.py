"""Build the table of a submission, in the order and columns of the sample, and its CSV.

What the columns hold, the shape, is in kagglekit.scoring.shapes.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import polars as pl

from kagglekit.errors import SubmissionError
from kagglekit.files.sample import PAIR, Sample, clips_of, repeats
from kagglekit.scoring.shapes import Shape

MAX_NAMES = 60  # longest list of models in a file name, in characters


def build(sample: Sample, predictions: pl.DataFrame) -> pl.DataFrame:
    """Build the submission: the sample's ids, in its order, each with its label or probabilities.

    Args:
        predictions: clip_id and the sample's columns, one row per clip, in any order.

    Raises:
        SubmissionError: the predictions do not cover exactly the sample's ids.
    """
    predicted = predictions["clip_id"]
    if predicted.n_unique() != len(predicted):
        raise SubmissionError(
            f"the predictions do not match the sample submission: clips predicted more than once: "
            f"{repeats(predicted)}",
            hint="run kagglekit predict again",
        )
    clips = pl.Series("clip_id", clips_of(sample, predicted.to_list()), pl.String)
    if sample.class_column is None:
        ids = pl.DataFrame({sample.id_column: pl.Series(sample.ids, dtype=pl.String)})
    else:
        pairs = [one.split(PAIR) for one in sample.ids]
        ids = pl.DataFrame(pairs, schema=[sample.id_column, sample.class_column], orient="row")
    values = clips.to_frame().join(
        predictions.select("clip_id", *sample.columns), on="clip_id", how="left", maintain_order="left"
    )
    return pl.concat([ids, values.drop("clip_id")], how="horizontal")


def class_balance(frame: pl.DataFrame, classes: Sequence[str]) -> list[tuple[str, int, float]]:
    """Return (label, rows, share of rows) of every class; from probabilities, the expected rows."""
    if frame.width > 2 and set(classes) <= set(frame.columns):
        shares = frame.select(pl.col(list(classes)).cast(pl.Float64).mean()).row(0)
        return [(c, round(s * len(frame)), s) for c, s in zip(classes, shares, strict=True)]
    labels = frame.to_series(frame.width - 1)
    if not set(labels.head(20).drop_nulls().to_list()) <= set(classes):  # lists, or numbers
        return []
    counts = dict(labels.value_counts().iter_rows())
    return [(label, counts.get(label, 0), counts.get(label, 0) / max(1, len(labels))) for label in classes]


def answered(frame: pl.DataFrame, shape: Shape) -> list[tuple[str, int, float]]:
    """Return (label, rows, share of rows) of every class as `class_balance`, for any shape.

    Rows are those of the test. From probabilities, the expected rows.

    Raises:
        ValueError: the submission cannot be read as its shape.
    """
    keys, answers = shape.read(frame.select(pl.all().cast(pl.String)))
    count = len(shape.classes)
    if answers.ndim == 1 or (not shape.gives_scores and shape.metric.answer == "top_k"):
        sums = np.bincount(answers[answers >= 0].ravel(), minlength=count)
    else:
        sums = answers.sum(0)
    rows = max(len(keys), 1)
    return [(name, round(float(s)), float(s) / rows) for name, s in zip(shape.classes, sums, strict=True)]


def to_csv(frame: pl.DataFrame) -> bytes:
    """Return the CSV's bytes."""
    return frame.write_csv(line_terminator="\n").encode()


def file_name(time_utc: datetime, models: Sequence[str], cv: float | None) -> str:
    """Return a portable file name that sorts by time: 20261122-101500_convs2s+lstm_0.8712.csv."""
    assert time_utc.tzinfo is not None, "the time needs a zone"
    names = [re.sub(r"[^A-Za-z0-9.-]+", "-", model)[:MAX_NAMES] for model in models]
    shown = len(names)
    while shown > 1 and len("+".join(names[:shown])) > MAX_NAMES:
        shown -= 1
    more = [f"{len(names) - shown}-more"] if shown < len(names) else []
    score = [] if cv is None else [f"{cv:.4f}"]
    time = time_utc.astimezone(UTC).strftime("%Y%m%d-%H%M%S")
    return "_".join([time, "+".join(names[:shown] + more), *score]) + ".csv"
