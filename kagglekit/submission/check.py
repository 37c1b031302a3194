"""Check a submission against the sample: columns, ids, order and labels."""

from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from kagglekit.config import Submission
from kagglekit.errors import SubmissionError, close_match, listed
from kagglekit.files.sample import COLUMNS_HINT, PAIR, Sample, quoted, repeats
from kagglekit.submission.table import class_balance

TOO_COMMON = 0.8  # share of one class above which a model has probably collapsed

MOST_SAME = 5  # columns that a warning names


def check(
    frame: pl.DataFrame, sample: Sample, classes: Sequence[str], settings: Submission | None = None
) -> list[str]:
    """Reject a submission that the host would reject or that cannot score; return warnings of unusual values.

    Raises:
        SubmissionError: columns, rows, ids, order, labels or probabilities are wrong, or all rows have
            the same label.
    """
    _check_ids(frame, sample)
    shape = (
        settings.shape if settings is not None else "probabilities" if len(sample.columns) > 1 else "label"
    )
    if shape in ("probability", "probabilities") or (shape == "long" and settings and not settings.answers):
        return _check_probabilities(frame.select(sample.columns))
    if shape != "label" and settings is not None:
        return _check_lists(frame[sample.columns[0]], classes, settings)
    labels = frame[sample.columns[0]]
    if empty := labels.null_count() + (labels == "").sum():
        raise SubmissionError(f"rows without a label: {empty:,} of {len(labels):,}", hint="kagglekit predict")
    unknown = labels.filter(~labels.is_in(list(classes))).unique(maintain_order=True)
    if len(unknown):
        raise SubmissionError(
            f"unknown labels: {quoted(unknown)}",
            hint=f"labels.classes in competition.yaml; {close_match(unknown[0], classes)}",
        )
    balance = class_balance(frame, classes)
    never = [f"'{label}'" for label, count, _ in balance if count == 0]
    warnings = [f"{listed(never)} {'is' if len(never) == 1 else 'are'} never predicted"] if never else []
    label, count, share = max(balance, key=lambda row: row[1])
    if count == len(labels) and len(labels) > 1:
        raise SubmissionError(
            f"all {count:,} rows have the label '{label}'",
            hint="a model has collapsed to one class: train it again, or leave it out of the ensemble",
        )
    if share > TOO_COMMON:
        warnings.append(f"'{label}' is {share:.0%} of the rows")
    return warnings


def _check_lists(cells: pl.Series, classes: Sequence[str], settings: Submission) -> list[str]:
    """Reject unknown labels, too many of them, and what is neither True nor False; return warnings."""
    if settings.shape == "long":
        words = cells.cast(pl.String).fill_null("").str.to_lowercase()
        odd = cells.filter(~words.is_in(["true", "false"])).fill_null("")
        if len(odd):
            raise SubmissionError(
                f"neither True nor False: {quoted(odd)}", hint="kagglekit submit writes them"
            )
        return []
    if (settings.shape == "top_k" or settings.none) and (empty := int((cells.fill_null("") == "").sum())):
        hint = f"write '{settings.none}', submission.none" if settings.none else "name a label in each row"
        raise SubmissionError(f"rows without a label: {empty:,} of {len(cells):,}", hint=hint)
    lists = cells.fill_null("").str.split(settings.joiner)
    allowed = {*classes, "", settings.none}
    if unknown := [name for name in lists.explode().unique(maintain_order=True) if name not in allowed]:
        raise SubmissionError(
            f"unknown labels: {quoted(unknown)}",
            hint=f"labels.classes in competition.yaml; {close_match(unknown[0], classes)}",
        )
    if settings.shape == "top_k" and (longest := max(lists.list.len().to_list(), default=0)) > settings.k:
        raise SubmissionError(
            f"a row has {longest} labels, submission.k is {settings.k}", hint="keep the first"
        )
    if len(doubled := cells.filter(lists.list.n_unique() < lists.list.len())):
        raise SubmissionError(f"rows with a label twice: {quoted(doubled)}", hint="name each label once")
    with_none = lists.list.contains(settings.none or "") & (lists.list.len() > 1)
    if settings.none and len(mixed := cells.filter(with_none)):
        raise SubmissionError(
            f"rows with '{settings.none}' and a label: {quoted(mixed)}",
            hint=f"submission.none, '{settings.none}', stands alone",
        )
    if len(cells) > 1 and cells.n_unique() == 1:
        return [f"all {len(cells):,} rows are '{cells[0]}'"]
    return []


def _check_probabilities(frame: pl.DataFrame) -> list[str]:
    """Reject values outside 0 to 1, and return warnings about constant columns."""
    numbers = frame.cast(pl.Float64, strict=False)
    for name in frame.columns:
        if odd := len(numbers) - int(numbers[name].is_between(0, 1).fill_null(False).sum()):
            raise SubmissionError(
                f"column '{name}' does not hold probabilities: {odd:,} of {len(numbers):,} rows",
                hint="probabilities lie between 0 and 1, as kagglekit submit writes them",
            )
    same = [name for name in frame.columns if numbers[name].n_unique() == 1]
    shown = [f"'{name}' is {numbers[name][0]:g} in all rows" for name in same[:MOST_SAME]]
    return shown + [f"so are {len(same) - MOST_SAME:,} more columns"] * (len(same) > MOST_SAME)


def in_order_of(frame: pl.DataFrame, sample: Sample) -> Sample:
    """Return the sample with its ids in a submission's order, if both have the same ids."""
    key = _key(sample)
    if not set(key) <= set(frame.columns):
        return sample
    ids = frame.select(pl.concat_str(key, separator=PAIR)).to_series().to_list()
    same = None not in ids and sorted(ids) == sorted(sample.ids)
    return replace(sample, ids=ids) if same else sample


def _key(sample: Sample) -> list[str]:
    """Return the columns that make a row's id: one, or two where the class has its own."""
    return [sample.id_column] + ([] if sample.class_column is None else [sample.class_column])


def _check_ids(frame: pl.DataFrame, sample: Sample) -> None:
    columns = [*_key(sample), *sample.columns]
    if frame.columns != columns:
        raise SubmissionError(
            f"the submission has the columns {quoted(frame.columns)}, not {quoted(columns)}",
            hint=COLUMNS_HINT,
        )
    ids = frame.select(pl.concat_str(_key(sample), separator=PAIR)).to_series()
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
