"""Take a CV score apart: by fold, part, class and word; and estimate the test's prior and a decision bias."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kagglekit.config import Config
from kagglekit.scoring.bootstrap import standard_error
from kagglekit.scoring.calibration import calibrate, prior_by_em
from kagglekit.scoring.cv import Score, clip_weights, score
from kagglekit.scoring.metrics.ranks import average_precisions
from kagglekit.scoring.numerics import SAME, Floats, softmax
from kagglekit.scoring.oof import Oof
from kagglekit.scoring.task import PARTS, Task


class Part(NamedTuple):
    """A subset of the OOF clips."""

    clips: int
    weight: float
    """Its share of the score."""
    accuracy: float
    """Weighted as the score is; unweighted where the clips have no weight."""


class Bias(NamedTuple):
    """The gain of a calibrated decision."""

    by_class: dict[str, float]
    """Added to the log-probabilities; fitted on all OOF clips."""
    gain: float
    """Gain in weighted accuracy by nested cross-validation: each fold gets the bias fitted on the others."""
    error: float
    """Standard error of the gain: bootstrap over speakers."""

    @property
    def beyond_noise(self) -> bool:
        """Whether the gain exceeds two standard errors, and rounding where there is no error."""
        return self.gain > 2 * self.error + SAME


class Explanation(NamedTuple):
    """The parts of a score."""

    score: Score
    folds: tuple[float, ...]
    """OOF metric of each fold's clips."""
    parts: dict[str, Part]
    classes: dict[str, Part]
    words: dict[str, Part]
    """Clips of unseen words by word, the lowest accuracy first."""
    estimated: dict[str, float]
    """Share of each class among the test clips, estimated from their predictions; empty without any."""
    bias: Bias

    @property
    def unseen_interval(self) -> tuple[float, float]:
        """95 % interval of the accuracy on unseen words, each word a single draw from all words."""
        words, total = self.words.values(), sum(word.weight for word in self.words.values())
        if not total:
            return 0.0, 1.0
        mean = sum(word.weight * word.accuracy for word in words) / total
        error = sum((word.weight / total * (word.accuracy - mean)) ** 2 for word in words) ** 0.5
        return max(mean - 1.96 * error, 0.0), min(mean + 1.96 * error, 1.0)


def explain(
    logits: NDArray[np.float32],
    clips: pl.DataFrame,
    config: Config,
    test: Sequence[Floats] = (),
    shift_limit: float | None = None,
) -> Explanation:
    """Take a score apart. The arguments are those of `score`."""
    classes = config.labels.all_classes
    test = [probs for probs in test if len(probs)]  # a hidden test has no clips here
    oof = Oof.from_clips(clips, softmax(logits)[None], Task.of(config), clip_weights(clips, config))
    folds = (oof.fold == number for number in np.unique(oof.fold))
    unseen = pl.when(pl.col("part") == "unseen").then("word")
    words = _divide(clips.select(unseen).to_series(), oof)
    parts, by_class = _divide(clips["part"], oof), _divide(clips["label"], oof)
    return Explanation(
        score=score(logits, clips, config, test, shift_limit),
        folds=tuple(score(logits[here], clips.filter(here), config).cv for here in folds),
        parts={name: parts[name] for name in PARTS if name in parts},
        classes={name: by_class[name] for name in classes if name in by_class},
        words=dict(sorted(words.items(), key=lambda item: item[1].accuracy)),
        estimated=dict(zip(classes, estimate_prior(oof, test).tolist(), strict=True)) if test else {},
        bias=decision_bias(oof, classes),
    )


class ClassPart(NamedTuple):
    """A class where clips may have several."""

    clips: int
    """OOF clips that have it."""
    average_precision: float | None
    """None where no clip has it."""
    answered: int
    """Clips for which it is answered, where the metric judges sets; else 0, and the next two are None."""
    precision: float | None
    recall: float | None


def by_class(logits: NDArray[np.float32], clips: pl.DataFrame, task: Task) -> dict[str, ClassPart]:
    """Return the scores of each class, the lowest average precision first. Unknown classes do not count."""
    known, truth = task.known(clips), task.truth(clips["label"])
    known = np.ones(truth.shape, bool) if known is None else known
    truth &= known
    decided = task.metric.answer == "set"
    answers = task.metric.decide_sets(task.probs(logits)) & known if decided else np.zeros_like(truth)
    counts = zip(truth.sum(0), answers.sum(0), (truth & answers).sum(0), strict=True)
    precisions = average_precisions(truth, logits, known.astype(np.float64))
    parts = {
        name: ClassPart(
            int(clips_of),
            None if np.isnan(average) else float(average),
            int(answered),
            float(right / answered) if answered else None,
            float(right / clips_of) if decided and clips_of else None,
        )
        for name, average, (clips_of, answered, right) in zip(task.classes, precisions, counts, strict=True)
    }
    return dict(sorted(parts.items(), key=lambda part: (part[1].clips == 0, part[1].average_precision or 0)))


def _divide(names: pl.Series, oof: Oof) -> dict[str, Part]:
    """Divide the clips by a name that each has or lacks (null)."""
    right, parts = oof.probs[0].argmax(1) == oof.target, {}
    for name in names.drop_nulls().unique().sort():
        here = (names == name).fill_null(False).to_numpy()
        total = float(oof.weight[here].sum())
        accuracy = oof.weight[here] @ right[here] / total if total else right[here].mean()
        parts[name] = Part(int(here.sum()), total, float(accuracy))
    return parts


def decision_bias(oof: Oof, classes: Sequence[str]) -> Bias:
    """Fit the bias of the calibrated decision of one run, and judge it by nested cross-validation."""
    plain, moved = oof.probs[0].argmax(1), oof.probs[0].argmax(1)
    for number in np.unique(oof.fold):
        here = oof.fold == number
        moved[here] = calibrate(oof.select(~here))(oof.probs[0, here]).argmax(1)
    change = 1.0 * (moved == oof.target) - (plain == oof.target)
    bias = calibrate(oof).bias
    return Bias(
        by_class=dict(zip(classes, (bias - bias.mean()).tolist(), strict=True)),
        gain=float(oof.share @ change),
        error=standard_error(change, oof.weight, oof.group),
    )


def estimate_prior(oof: Oof, test: Sequence[Floats]) -> Floats:
    """Estimate the share of each class among the test clips: EM of Saerens et al. 2002 (`prior_by_em`).

    The clips of a class are taken to look alike in the test and in OOF.

    Args:
        test: each fold's probabilities of the test clips (clips, classes).
    """
    calibrated = calibrate(oof)
    probs = np.concatenate([calibrated(member) for member in test])
    prior = np.bincount(oof.target, oof.share, probs.shape[1])
    return prior_by_em(probs, prior, np.full(len(probs), 1 / len(probs)))
