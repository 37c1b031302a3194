"""A CV score taken apart: what it is made of, and what else OOF and test predictions tell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kagglekit.config import Config
from kagglekit.scoring.bootstrap import standard_error
from kagglekit.scoring.calibration import Answers, Floats, calibrate, log_probs, prior_by_em
from kagglekit.scoring.cv import Score, clip_weights, score
from kagglekit.scoring.task import PARTS


class Part(NamedTuple):
    """Some of the OOF clips."""

    clips: int
    weight: float
    """Their share of the score."""
    accuracy: float
    """Weighed as in the score; over the clips where they weigh nothing."""


class Bias(NamedTuple):
    """What moving the decision between classes would be worth."""

    by_class: dict[str, float]
    """To be added to the log-probabilities; fitted on all OOF clips."""
    gain: float
    """Weighted accuracy gained where each fold's clips get the bias fitted on the other folds."""
    error: float
    """Standard error of the gain: bootstrap over speakers."""

    @property
    def beyond_noise(self) -> bool:
        """Whether the gain is more than two standard errors."""
        return self.gain > 2 * self.error


class Explanation(NamedTuple):
    """What a score is made of."""

    score: Score
    folds: tuple[float, ...]
    """Weighted accuracy of each fold's clips, without `gain`."""
    parts: dict[str, Part]
    classes: dict[str, Part]
    words: dict[str, Part]
    """Never-heard clips by word, the least understood first."""
    estimated: dict[str, float]
    """Share of each class among the test clips, by their predictions; empty where there are none."""
    bias: Bias


def explain(
    logits: NDArray[np.float32],
    clips: pl.DataFrame,
    config: Config,
    test: Sequence[NDArray[np.floating[Any]]] = (),
    shift_limit: float | None = None,
) -> Explanation:
    """Take a score apart. Arguments as those of `score`; the clips have fold and speaker, too."""
    classes = config.labels.classes
    target = (clips["label"].to_numpy()[:, None] == np.array(classes)).argmax(1)
    oof = Answers(log_probs(logits), target, clip_weights(clips, config))
    fold = clips["fold"].to_numpy()
    of_fold = (fold == number for number in np.unique(fold))
    unheard = pl.when(pl.col("part") == "unseen").then("word")
    words = _divide(clips.select(unheard).to_series(), oof)
    parts, by_class = _divide(clips["part"], oof), _divide(clips["label"], oof)
    return Explanation(
        score=score(logits, clips, config, test, shift_limit),
        folds=tuple(score(logits[of], clips.filter(of), config).cv for of in of_fold),
        parts={name: parts[name] for name in PARTS if name in parts},
        classes={name: by_class[name] for name in classes if name in by_class},
        words=dict(sorted(words.items(), key=lambda item: item[1].accuracy)),
        estimated=dict(zip(classes, estimate_prior(oof, test).tolist(), strict=True)) if test else {},
        bias=decision_bias(oof, fold, clips.select(pl.coalesce("speaker", "clip_id")).to_series(), classes),
    )


def _divide(by: pl.Series, oof: Answers) -> dict[str, Part]:
    """The clips by a name that each has, or has not (null)."""
    right, parts = oof.log.argmax(1) == oof.target, {}
    for name in by.drop_nulls().unique().sort():
        of = (by == name).fill_null(False).to_numpy()
        total = float(oof.weight[of].sum())
        accuracy = oof.weight[of] @ right[of] / total if total else right[of].mean()
        parts[name] = Part(int(of.sum()), total, float(accuracy))
    return parts


def decision_bias(oof: Answers, fold: NDArray[Any], speaker: pl.Series, classes: Sequence[str]) -> Bias:
    """The bias of the calibrated decision, and what it gains on folds that did not fit it.

    Args:
        fold, speaker: (clips,), theirs; the bootstrap draws speakers.
        classes: names of the columns of `oof.log`.
    """
    plain, moved = oof.log.argmax(1), oof.log.argmax(1)
    for number in np.unique(fold):
        rest = Answers(*(column[fold != number] for column in oof))
        moved[fold == number] = calibrate(rest)(oof.log[fold == number]).argmax(1)
    change = 1.0 * (moved == oof.target) - (plain == oof.target)
    bias = calibrate(oof).bias
    return Bias(
        by_class=dict(zip(classes, (bias - bias.mean()).tolist(), strict=True)),
        gain=float(oof.weight @ change / oof.weight.sum()),
        error=standard_error(change, oof.weight, speaker.to_numpy()),
    )


def estimate_prior(oof: Answers, test: Sequence[NDArray[np.floating[Any]]]) -> Floats:
    """Share of each class among the test clips, from their predictions: EM of Saerens et al. 2002.

    It supposes that a class is in the test as it is in OOF, so weighted.

    Args:
        test: each fold's probabilities of the test clips (clips, classes).
    """
    calibrated = calibrate(oof)
    probs = np.concatenate([calibrated(log_probs(np.log(member + 1e-12))) for member in test])
    known = np.bincount(oof.target, oof.weight, probs.shape[1]) / oof.weight.sum()
    return prior_by_em(probs, known, np.full(len(probs), 1 / len(probs)))
