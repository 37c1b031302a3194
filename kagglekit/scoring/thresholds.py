"""Thresholds on word scores: a clip whose best word scores too low is filler, or silence.

Models of words_threshold and zero_shot have no output for filler or silence as a class. Their fold tables
keep logits before the rule: for each class the log of its likeliest word's probability, for silence, which
has no word, the log of the remaining probability. The rule replaces the scores of filler and silence so that
the argmax is its answer, and all later stages need not know of it. It is applied where folds are joined, so
that thresholds can be fitted again for another prior.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kagglekit.scoring.numerics import SAME

FLOOR = 1e-12  # of a probability
STEPS = 200  # thresholds tried, from 0 to 1

Floats = NDArray[np.float64]


class Thresholds(NamedTuple):
    """Probabilities of the best word."""

    unknown: float
    """Below it, a clip is filler."""
    silence: float
    """Below it, a clip is silence, whatever `unknown` says."""


@dataclass(frozen=True)
class ThresholdRule:
    """Predicts filler and silence by the probability of the best word."""

    unknown: int
    """Index of the filler class."""
    silence: int
    """Index of the silence class."""
    has_silence_output: bool = False
    """Whether silence is an output of the model, as in some checkpoints."""

    def apply(self, logits: NDArray[Any], thresholds: Thresholds) -> NDArray[np.float32]:
        """Apply the rule: logits before it (clips, classes) -> logits whose argmax is its answer."""
        scores = np.exp(logits.astype(np.float64))
        best = self._words(scores).max(1)
        filler = np.maximum(scores[:, self.unknown], thresholds.unknown)
        quiet = max(thresholds) + (thresholds.silence - best)  # the maximum exactly where best is below
        if self.has_silence_output:
            quiet = np.maximum(quiet, scores[:, self.silence])
        scores[:, self.unknown], scores[:, self.silence] = filler, quiet
        ruled: NDArray[np.float32] = np.log(scores.clip(min=FLOOR)).astype(np.float32)
        return ruled

    def fit(self, logits: NDArray[Any], label: NDArray[np.int64], weight: Floats) -> Thresholds:
        """Find the thresholds with the highest weighted accuracy, the lowest if several are equal.

        Args:
            logits: before the rule (clips, classes).
            label: index of each clip's class (clips,).
            weight: of each clip (clips,).
        """
        words = self._words(np.exp(logits.astype(np.float64)))
        best, right = words.max(1), words.argmax(1) == label
        tried = np.arange(STEPS) / STEPS

        def below(chosen: NDArray[np.bool_]) -> Floats:
            """Sum the weights of the chosen clips whose best word is below each threshold."""
            inside, _ = np.histogram(best, np.append(tried, np.inf), weights=weight * chosen)
            before: Floats = np.cumsum(inside) - inside
            return before

        silence, unknown, word = below(label == self.silence), below(label == self.unknown), below(right)
        # accuracy[s, u] with silence below s, filler from s to u, and the best word above
        accuracy = (silence - unknown)[:, None] + (unknown - word)[None, :]
        accuracy[np.tri(STEPS, k=-1, dtype=bool)] = -np.inf  # s above u is no better than u = s
        s, u = np.argwhere(accuracy >= accuracy.max() - SAME * weight.sum())[0]
        return Thresholds(unknown=float(tried[u]), silence=float(tried[s]))

    def _words(self, scores: Floats) -> Floats:
        """Leave out silence where it is the remaining probability."""
        if self.has_silence_output:
            return scores
        words = scores.copy()
        words[:, self.silence] = -1
        return words


def fit_by_fold(
    rule: ThresholdRule,
    logits: NDArray[Any],
    label: NDArray[np.int64],
    weight: Floats,
    fold: NDArray[np.int64],
) -> dict[int, Thresholds]:
    """Fit each fold's thresholds on the other folds, so that its OOF score stays unbiased."""
    return {
        int(number): rule.fit(logits[fold != number], label[fold != number], weight[fold != number])
        for number in np.unique(fold)
    }


def apply_by_fold(
    rule: ThresholdRule, logits: NDArray[Any], fold: NDArray[np.int64], thresholds: dict[int, Thresholds]
) -> NDArray[np.float32]:
    """Apply the rule with each fold's thresholds."""
    out = np.empty(logits.shape, np.float32)
    for number, pair in thresholds.items():
        out[fold == number] = rule.apply(logits[fold == number], pair)
    return out


def rule_for(labels: str, classes: int, class_of: Collection[int]) -> ThresholdRule | None:
    """Return the rule of a label scheme, or None if it has none.

    Args:
        labels: the scheme, as in Train.labels.
        classes: number of classes; silence and filler are the last two, as in Labels.classes.
        class_of: class of each output.
    """
    if labels not in ("words_threshold", "zero_shot"):
        return None
    return ThresholdRule(classes - 1, classes - 2, has_silence_output=classes - 2 in class_of)
