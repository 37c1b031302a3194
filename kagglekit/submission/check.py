"""Check a submission against the sample: columns, ids, order and labels."""

from collections.abc import Sequence

import polars as pl

from kagglekit.errors import SubmissionError, close_match
from kagglekit.files.sample import COLUMNS_HINT, Sample, quoted, repeats
from kagglekit.submission.shapes import class_balance

TOO_COMMON = 0.8  # share of one class above which a model has probably collapsed


def check(frame: pl.DataFrame, sample: Sample, classes: Sequence[str]) -> list[str]:
    """Reject a submission that the host would reject or that cannot score; return warnings of unusual values.

    Raises:
        SubmissionError: columns, rows, ids, order, labels or probabilities are wrong, or all rows have
            the same label.
    """
    _check_ids(frame, sample)
    if sample.label_column is None:
        return _check_probabilities(frame.drop(sample.id_column))
    labels = frame[sample.label_column]
    if empty := labels.null_count() + (labels == "").sum():
        raise SubmissionError(f"rows without a label: {empty:,} of {len(labels):,}", hint="kagglekit predict")
    unknown = labels.filter(~labels.is_in(list(classes))).unique(maintain_order=True)
    if len(unknown):
        raise SubmissionError(
            f"unknown labels: {quoted(unknown)}",
            hint=f"labels.classes in competition.yaml; {close_match(unknown[0], classes)}",
        )
    balance = class_balance(frame, classes)
    warnings = [f"'{label}' is never predicted" for label, count, _ in balance if count == 0]
    label, count, share = max(balance, key=lambda row: row[1])
    if count == len(labels) and len(labels) > 1:
        raise SubmissionError(
            f"all {count:,} rows have the label '{label}'",
            hint="a model has collapsed to one class: train it again, or leave it out of the ensemble",
        )
    if share > TOO_COMMON:
        warnings.append(f"'{label}' is {share:.0%} of the rows")
    return warnings


def _check_probabilities(frame: pl.DataFrame) -> list[str]:
    """Reject values outside 0 to 1, and return warnings about constant columns."""
    numbers = frame.cast(pl.Float64, strict=False)
    for name in frame.columns:
        if odd := len(numbers) - int(numbers[name].is_between(0, 1).fill_null(False).sum()):
            raise SubmissionError(
                f"column '{name}' does not hold probabilities: {odd:,} of {len(numbers):,} rows",
                hint="probabilities lie between 0 and 1, as kagglekit submit writes them",
            )
    return [
        f"'{name}' is {numbers[name][0]:g} in all rows"
        for name in frame.columns
        if numbers[name].n_unique() == 1
    ]


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
        what = f"ids are not unique: {repeats(ids)}"
    elif len(unknown):
        what = f"ids that are not in the sample: {len(unknown):,} ({quoted(unknown)})"
    else:
        row = (ids != expected).arg_max() or 0
        what = f"the ids are not in the sample's order: row {row + 1} is '{ids[row]}', not '{expected[row]}'"
    raise SubmissionError(what, hint="write it with kagglekit submit, which starts from the sample")
