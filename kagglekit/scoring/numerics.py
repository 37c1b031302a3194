"""Logits and probabilities: the only softmax and sigmoid on numpy arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def softmax(logits: NDArray[Any]) -> NDArray[np.float64]:
    """Logits -> probabilities that add up to 1 along the last axis."""
    shifted = np.exp(logits.astype(np.float64) - logits.max(-1, keepdims=True))
    result: NDArray[np.float64] = shifted / shifted.sum(-1, keepdims=True)
    return result


def sigmoid(logits: NDArray[Any]) -> NDArray[np.float64]:
    """Log-odds -> probabilities, each class on its own."""
    result: NDArray[np.float64] = 1 / (1 + np.exp(-logits.astype(np.float64)))
    return result
