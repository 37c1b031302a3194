"""A submission: built in the sample's order, checked before it can leave, written whole or not at all."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime

import polars as pl

from kagglekit.errors import SubmissionError, close_match
from kagglekit.files.sample import COLUMNS_HINT, Sample, quoted, repeats

TOO_COMMON = 0.8  # share of one class above which a model has probably collapsed
MAX_NAMES = 60  # characters that the models take in a file name


def build(sample: Sample, predictions: pl.DataFrame) -> pl.DataFrame:
    """The submission: the sample's ids in the sample's order, each with its predicted label or probabilities.

    Args:
        sample: what the host expects.
        predictions: columns clip_id and the sample's, one row a clip, in any order.

    Raises:
        SubmissionError: the predictions are not of exactly the sample's clips.
    """
    ids = pl.Series("clip_id", sample.ids, pl.String)
    predicted = predictions["clip_id"]
    missing = ids.filter(~ids.is_in(predicted.implode()))
    extra = predicted.filter(~predicted.is_in(ids.implode()))
    problems = []
    if len(missing):
        problems.append(f"{len(missing):,} of its {len(ids):,} ids have no prediction ({quoted(missing)})")
    if len(extra):
        problems.append(f"{len(extra):,} predictions are for ids it does not have ({quoted(extra)})")
    if predicted.n_unique() != len(predicted):
        problems.append(f"clips are predicted twice: {repeats(predicted)}")
    if problems:
        raise SubmissionError(
            f"the predictions do not fit the sample submission: {'; '.join(problems)}",
            hint="the sample and the test archive do not belong together: run kagglekit fetch, then prepare",
        )
    return (
        ids.to_frame()
        .join(predictions.select("clip_id", *sample.columns), on="clip_id", how="left", maintain_order="left")
        .rename({"clip_id": sample.id_column})
    )


def check(frame: pl.DataFrame, sample: Sample, classes: Sequence[str]) -> list[str]:
    """Refuse a submission that the host would refuse or that cannot score.

    Args:
        frame: the submission.
        sample: what the host expects.
        classes: every label there is.

    Returns:
        Warnings: what is odd, and may still be right.

    Raises:
        SubmissionError: columns, rows, ids, order or labels are wrong, or there is one label only; or what
            should be probabilities are none.
    """
    _check_ids(frame, sample)
    if sample.label_column is None:
        return _check_probabilities(frame.drop(sample.id_column))
    labels = frame[sample.label_column]
    if empty := labels.null_count() + (labels == "").sum():
        raise SubmissionError(f"{empty:,} of {len(labels):,} rows have no label", hint="kagglekit predict")
    unknown = labels.filter(~labels.is_in(list(classes))).unique(maintain_order=True)
    if len(unknown):
        raise SubmissionError(
            f"labels that are no class: {quoted(unknown)}",
            hint=f"labels.targets in competition.yaml; {close_match(unknown[0], classes)}",
        )
    balance = class_balance(frame, classes)
    warnings = [f"'{label}' is never predicted" for label, count, _ in balance if count == 0]
    label, count, share = max(balance, key=lambda row: row[1])
    if count == len(labels) and len(labels) > 1:
        raise SubmissionError(
            f"all {count:,} rows say '{label}'",
            hint="a model has collapsed to one class: kagglekit train, or leave it out of the ensemble",
        )
    if share > TOO_COMMON:
        warnings.append(f"'{label}' is {share:.0%} of the rows")
    return warnings


def _check_probabilities(frame: pl.DataFrame) -> list[str]:
    """As `check`, of the columns of probabilities."""
    numbers = frame.cast(pl.Float64, strict=False)
    for name in frame.columns:
        if odd := len(numbers) - int(numbers[name].is_between(0, 1).fill_null(False).sum()):
            raise SubmissionError(
                f"{odd:,} of {len(numbers):,} rows of the column '{name}' are no probabilities",
                hint="they lie between 0 and 1: kagglekit submit writes them so",
            )
    return [
        f"'{name}' is {numbers[name][0]:g} in all rows"
        for name in frame.columns
        if numbers[name].n_unique() == 1
    ]


def class_balance(frame: pl.DataFrame, classes: Sequence[str]) -> list[tuple[str, int, float]]:
    """(label, rows, share of rows) of every class in a submission; of probabilities, the rows to expect."""
    if frame.width > 2:
        shares = frame.select(pl.col(list(classes)).cast(pl.Float64).mean()).row(0)
        return [(c, round(s * len(frame)), s) for c, s in zip(classes, shares, strict=True)]
    labels = frame.to_series(1)
    counts = dict(labels.value_counts().iter_rows())
    return [(label, counts.get(label, 0), counts.get(label, 0) / max(1, len(labels))) for label in classes]


def to_csv(frame: pl.DataFrame) -> bytes:
    """The bytes that are sent."""
    return frame.write_csv(line_terminator="\n").encode()


def file_name(time_utc: datetime, models: Sequence[str], cv: float | None) -> str:
    """A name that sorts by time and works on every file system: 20261122-101500_convs2s+lstm_0.8712.csv."""
    assert time_utc.tzinfo is not None, "a time without a zone is anybody's"
    names = [re.sub(r"[^A-Za-z0-9.-]+", "-", model)[:MAX_NAMES] for model in models]
    shown = len(names)
    while shown > 1 and len("+".join(names[:shown])) > MAX_NAMES:
        shown -= 1
    more = [f"{len(names) - shown}-more"] if shown < len(names) else []
    score = [] if cv is None else [f"{cv:.4f}"]
    time = time_utc.astimezone(UTC).strftime("%Y%m%d-%H%M%S")
    return "_".join([time, "+".join(names[:shown] + more), *score]) + ".csv"


def _check_ids(frame: pl.DataFrame, sample: Sample) -> None:
    columns = [sample.id_column, *sample.columns]
    if frame.columns != columns:
        raise SubmissionError(
            f"the submission has the columns {quoted(frame.columns)}, not {quoted(columns)}",
            hint=COLUMNS_HINT,
        )
    ids = frame[sample.id_column]
    if ids.to_list() == sample.ids:
        return
    expected = pl.Series(sample.ids, dtype=pl.String)
    unknown = ids.filter(~ids.is_in(expected.implode()))
    if len(frame) != len(sample.ids):
        what = f"the submission has {len(frame):,} rows, the sample {len(sample.ids):,}"
    elif ids.n_unique() != len(ids):
        what = f"the submission repeats ids: {repeats(ids)}"
    elif len(unknown):
        what = f"{len(unknown):,} ids are not in the sample: {quoted(unknown)}"
    else:
        row = (ids != expected).arg_max() or 0
        what = f"the ids are not in the sample's order: row {row + 1} is '{ids[row]}', not '{expected[row]}'"
    raise SubmissionError(what, hint="write it with kagglekit submit, which starts from the sample")
