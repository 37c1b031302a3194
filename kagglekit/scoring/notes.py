"""What to know of a score that its number does not say, each in a line."""

import numpy as np
from numpy.typing import NDArray

from kagglekit.config import Config


def score_notes(config: Config, known: NDArray[np.bool_] | None) -> tuple[str, ...]:
    """Return the notes of an OOF score.

    Args:
        known: (rows, classes), whether it is known if the row has the class; None: of all.
    """
    notes, every = [], config.rows.every
    if every is not None and not any(train.start or train.end for train in config.data.train):
        notes.append(f"rows are windows of {every:g} s, validated on whole recordings")
    if known is not None:
        count = int((~known).sum())
        notes.append(
            f"left out of the score: {count:,} of {known.size:,} pairs of a row and a class, "
            "which the labels leave open"
        )
    return tuple(notes)
