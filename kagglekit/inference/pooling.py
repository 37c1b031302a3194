"""Join the windows of a row: what `kagglekit.training.head.Head` does in torch, in numpy."""

import numpy as np
from numpy.typing import NDArray

from kagglekit.scoring.numerics import Floats, log_softmax, sigmoid, softmax

FLOOR = 1e-12  # of a probability, as in Head.mean
MARGIN = 1e-6  # of a probability of several


def join_windows_of_rows(
    logits: NDArray[np.float32], windows: NDArray[np.int64], pool: str, multi: bool
) -> NDArray[np.float32]:
    """Join the windows of each row.

    Args:
        logits: (windows, folds, classes).
        windows: (rows,), number of windows of each row, in order.
        pool: mean of their probabilities, or max of their logits.
        multi: whether a row may have several classes.

    Returns:
        (rows, folds, classes).
    """
    if (windows == 1).all():
        return logits
    starts = np.cumsum(windows) - windows
    if pool == "max":
        scores: Floats = logits if multi else log_softmax(logits)
        highest: NDArray[np.float32] = np.maximum.reduceat(scores, starts).astype(np.float32)
        return highest
    probs = sigmoid(logits) if multi else softmax(logits)
    mean = np.add.reduceat(probs, starts) / windows[:, None, None]
    if not multi:
        joined: Floats = np.log(mean.clip(min=FLOOR))
    else:
        mean = mean.clip(MARGIN, 1 - MARGIN)
        joined = np.log(mean) - np.log1p(-mean)
    return joined.astype(np.float32)
