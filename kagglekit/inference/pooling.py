"""Join the windows of a row: what `kagglekit.training.head.Head` does in torch, in numpy."""

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kagglekit.scoring.numerics import Floats, log_softmax, sigmoid, softmax

FLOOR = 1e-12  # of a probability, as in Head.mean
MARGIN = 1e-6  # of a probability of several

Meaning = Literal["logits", "log_odds", "log_probs"]
PROBS: dict[Meaning, Callable[[Floats], Floats]] = {
    "logits": softmax,
    "log_odds": sigmoid,
    "log_probs": lambda logits: np.exp(logits.astype(np.float64)),
}


def join_windows_of_rows(
    logits: NDArray[np.float32], windows: NDArray[np.int64], pool: str, takes: Meaning
) -> NDArray[np.float32]:
    """Join the windows of each row.

    Args:
        logits: (windows, folds, classes).
        windows: (rows,), number of windows of each row, in order.
        pool: mean of their probabilities, or max of their logits.
        takes: what the logits are. Log-probabilities before a rule need not sum to 1, and keep their scale.

    Returns:
        (rows, folds, classes).
    """
    if (windows == 1).all():
        return logits
    starts = np.cumsum(windows) - windows
    if pool == "max":
        scores: Floats = log_softmax(logits) if takes == "logits" else logits
        highest: NDArray[np.float32] = np.maximum.reduceat(scores, starts).astype(np.float32)
        return highest
    probs = PROBS[takes](logits)
    mean = np.add.reduceat(probs, starts) / windows[:, None, None]
    if takes != "log_odds":
        joined: Floats = np.log(mean.clip(min=FLOOR))
    else:
        mean = mean.clip(MARGIN, 1 - MARGIN)
        joined = np.log(mean) - np.log1p(-mean)
    return joined.astype(np.float32)
