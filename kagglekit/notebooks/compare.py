"""Compare what a notebook has written on the host with what its rehearsal wrote here."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import polars as pl

from kagglekit.errors import KagglekitError, plural
from kagglekit.files.tables import read_table_file
from kagglekit.notebooks.folder import sha256_of

TOLERANCE = 1e-3
"""Another processor may round probabilities differently, by far less."""


class OutputComparison(NamedTuple):
    """What a comparison has found."""

    words: str
    same: bool


def compare(theirs: Path, ours: Path) -> OutputComparison:
    """Compare two submissions: columns, rows and ids must be equal, numbers to within TOLERANCE.

    Args:
        theirs: written on the host.
        ours: written here.
    """
    if sha256_of(theirs) == sha256_of(ours):
        return OutputComparison("the notebook's output is the rehearsal's, byte by byte", same=True)
    try:
        there = read_table_file(theirs, hint="").frame
        here = read_table_file(ours, hint="").frame
    except KagglekitError as error:
        return OutputComparison(f"the notebook's output cannot be read: {error}", same=False)
    if there.columns != here.columns:
        return OutputComparison("the notebook's output has other columns than the rehearsal's", same=False)
    if len(there) != len(here):
        words = f"the notebook's output has {plural(len(there), 'row')}, the rehearsal's {len(here):,}"
        return OutputComparison(words, same=False)
    if not there.columns or not there[there.columns[0]].equals(here[here.columns[0]]):
        return OutputComparison("the notebook's output has other ids than the rehearsal's", same=False)
    different, largest = 0, 0.0
    for name in there.columns[1:]:
        one, other = (frame[name].cast(pl.Float64, strict=False) for frame in (there, here))
        if one.null_count() or other.null_count():
            different += int((there[name].fill_null("") != here[name].fill_null("")).sum())
            continue
        if (unknown := int((one.is_nan() | other.is_nan()).sum())) > 0:  # which a maximum would pass over
            different += unknown
            continue
        worst = (one - other).abs().max()
        largest = max(largest, float(worst) if isinstance(worst, int | float) else 0.0)
    if different or not largest <= TOLERANCE:
        what = f"{plural(different, 'cell')}" if different else f"numbers by up to {largest:.2g}"
        return OutputComparison(f"the notebook's output differs from the rehearsal's in {what}", same=False)
    return OutputComparison(f"the notebook's output is the rehearsal's to within {largest:.1g}", same=True)
