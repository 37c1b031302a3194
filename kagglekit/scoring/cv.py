"""The local score that predicts the leaderboard: accuracy on OOF, weighted as the hidden test is.

A hidden test differs from training data in its class balance and in its words. So each OOF clip
weighs as much as the test has of its kind: classes by the stated prior, filler clips by whether
their word was heard in training. Words never heard are few and unlike each other, while the test
holds others still; they are weighed as draws from all words (random effects, DerSimonian and Laird
1986): a word with n clips weighs n / (n + 5), so that four common words do not speak for all.

Two things more set the test apart, and both are estimated from its predictions alone, without labels:
its clips may be harder than those of OOF, so that the same models are less sure of them
(`confidence_shift`), and they are judged by the mean of all folds' models, an OOF clip by one
(`averaging_gain`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kagglekit.config import Config
from kagglekit.scoring.calibration import Answers, Floats, calibrate, log_probs
from kagglekit.scoring.metrics import METRICS, average_precisions, left_out, standard_error
from kagglekit.scoring.task import PARTS, Task

WORD_SHRINKAGE = 5.0  # p(1-p) / variance between words: about 0.15 / 0.03

SHARPNESS = 0.25, 16.0  # where the exponent is looked for: 2 is common
SHARPNESS_STEPS = 12  # halvings of its logarithm: to a thousandth


class Score(NamedTuple):
    """How good OOF predictions are."""

    cv: float
    """Accuracy, weighted to the test prior, with `shift` and `gain`: to be compared with the leaderboard."""
    low: float
    """Lower end of its 95 % interval, clips counted as independent."""
    high: float
    plain: float
    """Unweighted accuracy."""
    official: float | None
    """Accuracy on the data set's own validation list, where it has one."""
    parts: dict[str, float]
    """Accuracy by part; unseen is weighed over words. Average precision by class where a clip may have
    several labels."""
    constant: tuple[str, ...]
    """Classes that are in the data but hardly ever predicted, or the one class predicted throughout."""
    gain: float = 0.0
    """What the mean of the folds' models is expected to be better by than one of them; 0 where nothing
    has been predicted for the test."""
    shift: float = 0.0
    """How much worse (negative) one fold's model is expected to be on test clips; 0 likewise."""

    @property
    def oof(self) -> float:
        """Weighted accuracy of OOF predictions, each by one fold's model."""
        return self.cv - self.gain - self.shift

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in self._asdict().items()}


def clip_weights(clips: pl.DataFrame, config: Config) -> Floats:
    """Weight of each OOF clip; they add up to 1.

    Args:
        clips: rows of the clips table with label, part and word.
        config: labels and the prior.
    """
    label = clips["label"].to_numpy()
    part = clips["part"].to_numpy()
    weight = np.zeros(len(clips))
    for name, share in _class_shares(label, config).items():
        of_class = label == name
        unheard = of_class & (part == "unseen")
        heard = of_class & ~unheard
        if name != config.labels.filler or not unheard.any() or not heard.any():
            weight[of_class] = share / max(of_class.sum(), 1)
            continue
        never = config.validation.never_heard
        weight[heard] = share * (1 - never) / heard.sum()
        weight[unheard] = share * never * _word_weights(clips["word"].to_numpy()[unheard])
    result: Floats = weight / max(weight.sum(), 1e-12)
    return result


def _class_shares(label: NDArray[Any], config: Config) -> dict[str, float]:
    prior = config.validation.prior
    present = [c for c in config.labels.classes if (label == c).any()]
    if not prior:
        return {c: float((label == c).mean()) for c in present}
    rest = [c for c in present if c not in prior]
    left = 1 - sum(prior.values())
    return {c: prior[c] if c in prior else left / len(rest) for c in present}


def _word_weights(words: NDArray[Any]) -> Floats:
    _names, of, count = np.unique(words, return_inverse=True, return_counts=True)
    per_word = count / (count + WORD_SHRINKAGE)
    weight = (per_word / count)[of]
    result: Floats = weight / weight.sum()
    return result


def score(
    logits: NDArray[np.float32],
    clips: pl.DataFrame,
    config: Config,
    test: Sequence[NDArray[np.floating[Any]]] = (),
    shift_limit: float | None = None,
    *,
    fitted: NDArray[np.floating[Any]] | None = None,
    interval: bool = True,
) -> Score:
    """Judge OOF predictions.

    Args:
        logits: (clips, classes) in the order of config.labels.classes.
        clips: the rows of the clips table that they belong to.
        config: labels and prior.
        test: each fold's probabilities of the test clips (clips, classes), whose mean is submitted.
        shift_limit: what `shift` is at most, where models have learnt from the test's clips: they are surer
            of these, which says nothing of how easy they are.
        fitted: (clips, classes), OOF logits by the very blend that made `test`, where `logits` are by blends
            fitted on the other folds: how sure two blends are differs by more than the clips do.
        interval: whether low and high are wanted, which for a metric of ranks takes time.

    With several labels a clip it is the competition's metric of all clips alike: ranks have no prior, no
    shift and no gain; `parts` are then average precisions by class.
    """
    if config.separator is not None:
        return _score_ranks(logits, clips, config, interval)
    classes = np.array(config.labels.classes)
    predicted = classes[np.asarray(logits).argmax(1)]
    label = clips["label"].to_numpy()
    right = predicted == label
    weight = clip_weights(clips, config)
    oof = float(weight @ right)
    shift, gain = 0.0, 0.0
    if test:
        target = (label[:, None] == classes).argmax(1)
        sure = logits if fitted is None else fitted
        shift = confidence_shift(Answers(log_probs(sure), target, weight), test)
        shift = shift if shift_limit is None else min(shift, shift_limit)
        gain = averaging_gain(test, oof + shift)
    cv = min(max(oof + shift + gain, 0.0), 1.0)
    margin = 1.96 * math.sqrt(float(np.square(weight) @ np.square(right - oof)))
    part = clips["part"].to_numpy()
    official = (clips["official"] == "validation").fill_null(False).to_numpy()
    return Score(
        cv=cv,
        low=max(cv - margin, 0.0),
        high=min(cv + margin, 1.0),
        plain=float(right.mean()),
        official=float(right[official].mean()) if official.any() else None,
        parts={
            p: float(weight[part == p] @ right[part == p] / weight[part == p].sum())
            for p in PARTS
            if weight[part == p].sum() > 0
        },
        constant=constant_classes(predicted, label, classes),
        gain=cv - oof - shift,
        shift=shift,
    )


def _score_ranks(logits: NDArray[np.float32], clips: pl.DataFrame, config: Config, interval: bool) -> Score:
    metric, truth = METRICS[config.competition.metric], Task.of(config).truth(clips["label"])
    value, margin = metric(truth, logits), 0.0
    if interval:
        groups = source_of(clips)
        margin = 1.96 * standard_error(left_out(metric, truth, logits, groups))
    by_class = average_precisions(truth, logits)
    return Score(
        cv=value,
        low=max(value - margin, 0.0),
        high=min(value + margin, 1.0),
        plain=value,
        official=None,
        parts={n: float(p) for n, p in zip(config.labels.classes, by_class, strict=True) if p == p},
        constant=tuple(
            name for i, name in enumerate(config.labels.classes) if len(logits) and np.ptp(logits[:, i]) == 0
        ),
    )


def source_of(clips: pl.DataFrame) -> NDArray[np.int64]:
    """A number for each clip's speaker, (clips,); a clip without one is a source of its own."""
    sources = clips.select(pl.coalesce("speaker", "clip_id")).to_series()
    return np.unique(sources.to_numpy(), return_inverse=True)[1]


def confidence_shift(oof: Answers, members: Sequence[NDArray[np.floating[Any]]]) -> float:
    """How much less accurate (negative) the models are expected to be on test clips, as they are less sure.

    The difference of confidences (Guillory et al. 2021, arXiv:2107.03315): the mean probability of the
    answers, calibrated on OOF, on test clips less that on OOF's. Measured between folds: docs/LOG.md,
    benchmarks/check_estimates.py.

    Args:
        oof: OOF predictions and what was right, weighted as the test is.
        members: each fold's probabilities of the test clips (clips, classes).
    """
    calibrated = calibrate(oof)
    share = oof.weight / oof.weight.sum()
    sure = [float(calibrated(log_probs(np.log(member + 1e-12))).max(1).mean()) for member in members]
    return float(np.mean(sure)) - float(share @ calibrated(oof.log).max(1))


def averaging_gain(members: Sequence[NDArray[np.floating[Any]]], accuracy: float) -> float:
    """How much more accurate the mean of several models is expected to be than one of them, without labels.

    Where the models agree, averaging changes nothing; where they differ, the mean says how likely each
    of their answers is. It says so too timidly (label smoothing, mixup and averaging itself flatten
    it), so it is sharpened, by one exponent for all clips, until one model's answers come out exactly as
    accurate as they are known to be. The gain is then what the mean's own answers are more likely.
    (Differences between members as the source of an ensemble's gain: Krogh and Vedelsby 1995. Measured
    against OOF labels: docs/LOG.md, benchmarks/check_estimates.py.)

    Args:
        members: each model's probabilities (clips, classes) of the same clips.
        accuracy: of one of the models on such clips, as CV has it.

    Returns:
        The gain, >= 0; 0 too where the models differ more often than `accuracy` allows, for then these
        clips are not such clips.
    """
    mean = np.mean(members, axis=0)
    answers = [member.argmax(1)[:, None] for member in members]
    log = np.log(mean / mean.max(1, keepdims=True) + 1e-12)

    def judged(sharpness: float) -> tuple[float, float]:
        """Expected accuracy of the mean, and of one member."""
        sharp = np.exp(sharpness * log)
        sharp /= sharp.sum(1, keepdims=True)
        alone = np.mean([np.take_along_axis(sharp, answer, 1).mean() for answer in answers])
        return float(sharp.max(1).mean()), float(alone)

    low, high = SHARPNESS
    if judged(high)[1] < accuracy:
        return 0.0
    for _ in range(SHARPNESS_STEPS):  # bisection: the sharper, the more sure of most members' answers
        middle = math.sqrt(low * high)
        low, high = (middle, high) if judged(middle)[1] < accuracy else (low, middle)
    together, alone = judged(low)
    return together - alone


def constant_classes(predicted: NDArray[Any], label: NDArray[Any], classes: NDArray[Any]) -> tuple[str, ...]:
    """What a model that has stopped looking gives away: one class throughout, or a class hardly ever.

    A class counts as hardly ever predicted below a tenth of its share of the labels.
    """
    share = {c: float((predicted == c).mean()) for c in classes}
    only = [c for c, s in share.items() if s > 0.98]
    if only and float((label == only[0]).mean()) < 0.9:
        return (str(only[0]),)
    return tuple(
        str(c) for c in classes if (label == c).any() and share[c] < 0.1 * float((label == c).mean())
    )
