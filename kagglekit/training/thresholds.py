"""The rule of word scores: a clip whose best word is not sure enough is filler, or even silence.

Heads that know no filler or silence class (`words_threshold`, `zero_shot`) keep for each clip its raw
form: for a class the highest probability of its words, for silence, of which nothing is a word, the rest
up to 1. The rule turns raw forms into scores whose argmax is its answer, so that all later stages
need not know of it. Raw forms are kept with each fold; thresholds are applied where folds are put
together, and so can be fitted again for another prior.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

FLOOR = 1e-12  # of a probability
RULED = ("words_threshold", "zero_shot")
"""Label schemes with thresholds."""
STEPS = 200  # thresholds tried, from 0 to 1

Floats = NDArray[np.float64]


class Thresholds(NamedTuple):
    """Probabilities of the best word."""

    unknown: float
    """Below it, a clip is filler."""
    silence: float
    """Below it, a clip is silence, whatever `unknown` says."""


@dataclass(frozen=True)
class Rule:
    """Where the two classes stand that the rule gives out."""

    unknown: int
    """Index of the filler class."""
    silence: int
    says_silence: bool = False
    """Whether silence is one of the words, as some checkpoints have it."""

    def apply(self, raw: NDArray[Any], thresholds: Thresholds) -> NDArray[np.float32]:
        """Logits whose argmax is the rule's answer, (clips, classes), from raw forms (logarithms)."""
        scores = np.exp(raw.astype(np.float64))
        best = self._words(scores).max(1)
        filler = np.maximum(scores[:, self.unknown], thresholds.unknown)
        quiet = max(thresholds) + (thresholds.silence - best)  # above all others just where best is below
        if self.says_silence:
            quiet = np.maximum(quiet, scores[:, self.silence])
        scores[:, self.unknown], scores[:, self.silence] = filler, quiet
        logits: NDArray[np.float32] = np.log(scores.clip(min=FLOOR)).astype(np.float32)
        return logits

    def fit(self, raw: NDArray[Any], label: NDArray[np.int64], weight: Floats) -> Thresholds:
        """The thresholds with the highest weighted accuracy, the lowest of several.

        Args:
            raw: raw forms (clips, classes), logarithms.
            label: index of each clip's class (clips,).
            weight: of each clip (clips,).
        """
        words = self._words(np.exp(raw.astype(np.float64)))
        best, right = words.max(1), words.argmax(1) == label
        tried = np.arange(STEPS) / STEPS

        def below(chosen: NDArray[np.bool_]) -> Floats:
            """Weight of the chosen clips whose best word is below each threshold."""
            inside, _ = np.histogram(best, np.append(tried, np.inf), weights=weight * chosen)
            before: Floats = np.cumsum(inside) - inside
            return before

        silence, unknown, word = below(label == self.silence), below(label == self.unknown), below(right)
        # accuracy[s, u] with silence below s, filler from s to u, and the best word above
        accuracy = (silence - unknown)[:, None] + (unknown - word)[None, :]
        accuracy[np.tri(STEPS, k=-1, dtype=bool)] = -np.inf  # s above u is no better than u = s
        s, u = np.unravel_index(accuracy.argmax(), accuracy.shape)
        return Thresholds(unknown=float(tried[u]), silence=float(tried[s]))

    def _words(self, scores: Floats) -> Floats:
        """Scores that a word may be the best of: all but the rest."""
        if self.says_silence:
            return scores
        words = scores.copy()
        words[:, self.silence] = -1
        return words


def fit_by_fold(
    rule: Rule, raw: NDArray[Any], label: NDArray[np.int64], weight: Floats, fold: NDArray[np.int64]
) -> dict[int, Thresholds]:
    """For each fold the thresholds fitted on the others, which its own clips may honestly be judged by."""
    return {
        int(number): rule.fit(raw[fold != number], label[fold != number], weight[fold != number])
        for number in np.unique(fold)
    }


def apply_by_fold(
    rule: Rule, raw: NDArray[Any], fold: NDArray[np.int64], thresholds: dict[int, Thresholds]
) -> NDArray[np.float32]:
    """`rule.apply` with each fold's own thresholds."""
    out = np.empty(raw.shape, np.float32)
    for number, pair in thresholds.items():
        out[fold == number] = rule.apply(raw[fold == number], pair)
    return out


def rule_for(labels: str, classes: int, class_of: Collection[int]) -> Rule | None:
    """The rule of a label scheme; None: it has none.

    Args:
        labels: the scheme, as Train.labels has it.
        classes: how many there are, silence and filler the last two, as Labels.classes has them.
        class_of: class of each output.
    """
    if labels not in RULED:
        return None
    return Rule(unknown=classes - 1, silence=classes - 2, says_silence=classes - 2 in class_of)
