"""The CV score: what OOF predictions say about the leaderboard.

A hidden test differs from training data in its class balance and in its words. So OOF clips are weighted as
the test has them: classes by the stated prior, filler clips by whether the fold trained on their word. Unseen
words are few and unlike each other, and the test holds yet others; they are weighted as draws from all words
(random effects, DerSimonian and Laird 1986): a word with n clips weighs n / (n + 5), so that four common
words do not decide.

The test differs in two more ways. Both are estimated from its predictions alone, without labels: its clips
may be harder than those of OOF, so that the same models are less sure of them (`confidence_shift`), and the
mean of all folds' models judges them, where one model judges an OOF clip (`averaging_gain`).
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kagglekit.config import Config
from kagglekit.config.names import LabelKind
from kagglekit.scoring.calibration import calibrate
from kagglekit.scoring.jackknife import jackknife_error, leave_groups_out
from kagglekit.scoring.metrics.ranks import average_precisions
from kagglekit.scoring.notes import score_notes
from kagglekit.scoring.numerics import Floats, softmax
from kagglekit.scoring.oof import Oof, group_of
from kagglekit.scoring.task import PARTS, Task

WORD_SHRINKAGE = 5.0  # p(1-p) / variance between words: about 0.15 / 0.03

INVERSE_TEMPERATURES = 0.25, 16.0  # range of the search: 2 is common
BISECTIONS = 12  # of its logarithm: to a thousandth


class Score(NamedTuple):
    """A score of OOF predictions."""

    cv: float
    """OOF metric weighted to the test prior, plus `shift` and `gain`: comparable with the leaderboard."""
    low: float
    """Lower end of its 95 % interval, clips taken as independent for accuracy, speakers for other metrics."""
    high: float
    plain: float
    """Metric of all clips alike, without weights."""
    official: float | None
    """Metric on the data set's own validation list, where it has one."""
    parts: dict[str, float]
    """Accuracy by part, unseen words weighted as above. Average precision by class where multi-label."""
    constant: tuple[str, ...]
    """Classes that are in the data but hardly ever predicted, or the one class that is always predicted."""
    gain: float = 0.0
    """Fold-ensemble gain: the expected gain of the mean of the folds' models over one of them; 0 without
    test predictions."""
    shift: float = 0.0
    """Test shift: the expected change in accuracy from OOF clips to test clips, negative where the test is
    harder; 0 without test predictions."""
    notes: tuple[str, ...] = ()
    """What to know of the score (kagglekit.scoring.notes)."""

    @property
    def oof(self) -> float:
        """Weighted metric of the OOF predictions."""
        return self.cv - self.gain - self.shift

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable dict."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in self._asdict().items()}


def clip_weights(clips: pl.DataFrame, config: Config) -> NDArray[np.float64]:
    """Compute the weight of each OOF clip, (clips,); weights sum to 1.

    Args:
        clips: rows of the clips table with label, part and word.
        config: labels and the prior. With several labels per clip, all clips weigh alike.
    """
    if config.labels.kind is LabelKind.MULTI:
        return np.full(len(clips), 1 / max(len(clips), 1))
    label = clips["label"].to_numpy()
    unseen = clips["part"].to_numpy() == "unseen"
    weight = np.zeros(len(clips))
    for name, share in _class_shares(label, config).items():
        in_class = label == name
        new, trained = in_class & unseen, in_class & ~unseen
        if name != config.labels.filler or not new.any() or not trained.any():
            weight[in_class] = share / max(in_class.sum(), 1)
            continue
        unseen_share = config.validation.never_heard
        weight[trained] = share * (1 - unseen_share) / trained.sum()
        weight[new] = share * unseen_share * _word_weights(clips["word"].to_numpy()[new])
    weight /= max(weight.sum(), 1e-12)
    return weight


def _class_shares(label: NDArray[Any], config: Config) -> dict[str, float]:
    """Return the share of each class that is present: stated by the prior, or as it is in the data."""
    prior = config.validation.prior
    present = [c for c in config.labels.all_classes if (label == c).any()]
    if not prior:
        return {c: float((label == c).mean()) for c in present}
    rest = [c for c in present if c not in prior]
    left = 1 - sum(prior.values())
    return {c: prior[c] if c in prior else left / len(rest) for c in present}


def _word_weights(words: NDArray[Any]) -> Floats:
    """Return the weight of each clip by its word, (clips,), summing to 1."""
    _names, word, count = np.unique(words, return_inverse=True, return_counts=True)
    weight: Floats = (1 / (count + WORD_SHRINKAGE))[word]
    weight /= weight.sum()
    return weight


def score(
    logits: NDArray[np.float32],
    clips: pl.DataFrame,
    config: Config,
    test: Sequence[Floats] = (),
    shift_limit: float | None = None,
    *,
    fitted: Floats | None = None,
    interval: bool = True,
) -> Score:
    """Score OOF predictions.

    A metric other than accuracy has neither shift nor gain: both are estimated for accuracy. It is weighted
    to the test prior where it is defined with weights; clips with several labels weigh alike. Pairs of a row
    and a class that labels leave open (masked and soft classes) are left out of the metric.

    Args:
        logits: (clips, classes) in the order of config.labels.all_classes.
        clips: rows of the clips table that the logits belong to.
        test: each fold's probabilities of the test clips (clips, classes), whose mean is submitted.
        shift_limit: upper limit of `shift` for models that learnt from test clips: they are surer of these,
            which says nothing about how easy they are.
        fitted: (clips, classes), OOF logits of the same blend that made `test`, where `logits` come from
            blends fitted on the other folds: two blends differ in how sure they are.
        interval: compute low and high, which takes time for a metric other than accuracy.
    """
    task = Task.of(config)
    if task.metric.name != "accuracy":
        return _score_metric(logits, clips, config, task, interval)
    classes = np.array(task.classes)
    predicted = classes[np.asarray(logits).argmax(1)]
    label = clips["label"].to_numpy()
    right = predicted == label
    weight = clip_weights(clips, config)
    oof = float(weight @ right)
    shift, gain = 0.0, 0.0
    if any(map(len, test)):  # a hidden test has no clips here
        probs = softmax(logits if fitted is None else fitted)
        shift = confidence_shift(Oof.from_clips(clips, probs[None], task, weight), test)
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
        parts=accuracy_by_part(right, part, weight),
        constant=constant_classes(predicted, label, classes),
        gain=cv - oof - shift,
        shift=shift,
        notes=score_notes(config, None),
    )


def accuracy_by_part(right: NDArray[np.bool_], part: NDArray[Any], weight: Floats) -> dict[str, float]:
    """Return the weighted accuracy of each of PARTS that has weight; all arguments are (clips,)."""
    members = {name: part == name for name in PARTS}
    return {
        name: float(weight[here] @ right[here] / weight[here].sum())
        for name, here in members.items()
        if weight[here].sum() > 0
    }


def _score_metric(
    logits: NDArray[np.float32], clips: pl.DataFrame, config: Config, task: Task, interval: bool
) -> Score:
    """Score by a metric other than accuracy, its interval by a jackknife over speakers."""
    metric, truth, scores = task.metric, task.truth(clips["label"]), task.scores(logits)
    known, weight = task.known(clips), clip_weights(clips, config) if metric.weighted else None
    value, margin = metric.compute(truth, scores, weight, known), 0.0
    if interval:
        without = leave_groups_out(metric.compute, truth, scores, group_of(clips), weight, known)
        margin = 1.96 * jackknife_error(without)
    official = (clips["official"] == "validation").fill_null(False).to_numpy()
    judged = official.any() and not task.multi
    parts, constant = (
        _multi_parts(logits, truth, task, known) if task.multi else _single_parts(logits, clips, config, task)
    )
    return Score(
        cv=value,
        low=metric.clip(value - margin),
        high=metric.clip(value + margin),
        plain=metric.compute(truth, scores, known=known),
        official=metric.compute(truth[official], scores[official]) if judged else None,
        parts=parts,
        constant=constant,
        notes=score_notes(config, known),
    )


def _multi_parts(
    logits: NDArray[np.float32], truth: NDArray[np.bool_], task: Task, known: NDArray[np.bool_] | None
) -> tuple[dict[str, float], tuple[str, ...]]:
    """Return the average precision of each class, and the classes whose logits are all equal."""
    weight = None if known is None else known.astype(np.float64)
    by_class = zip(task.classes, average_precisions(truth, logits, weight), strict=True)
    constant = [bool(len(logits)) and np.ptp(column) == 0 for column in logits.T]
    return (
        {name: float(precision) for name, precision in by_class if not np.isnan(precision)},
        tuple(name for name, same in zip(task.classes, constant, strict=True) if same),
    )


def _single_parts(
    logits: NDArray[np.float32], clips: pl.DataFrame, config: Config, task: Task
) -> tuple[dict[str, float], tuple[str, ...]]:
    """Return the weighted accuracy of each part, and the classes that are hardly ever predicted."""
    classes, label = np.array(task.classes), clips["label"].to_numpy()
    predicted = classes[logits.argmax(1)]
    part, weight = clips["part"].to_numpy(), clip_weights(clips, config)
    return accuracy_by_part(predicted == label, part, weight), constant_classes(predicted, label, classes)


def confidence_shift(oof: Oof, members: Sequence[Floats]) -> float:
    """Estimate the change in accuracy from OOF clips to test clips, negative where models are less sure.

    The difference of confidences (Guillory et al. 2021, arXiv:2107.03315): the mean probability of the
    answers, calibrated on OOF, on test clips minus that on OOF clips. Measured between folds: docs/LOG.md,
    benchmarks/check_estimates.py.

    Args:
        oof: predictions of one run, weighted as the test is.
        members: each fold's probabilities of the test clips (clips, classes).
    """
    calibrated = calibrate(oof)
    confidence = [float(calibrated(member).max(1).mean()) for member in members]
    return float(np.mean(confidence)) - float(oof.share @ calibrated(oof.probs[0]).max(1))


def averaging_gain(members: Sequence[Floats], accuracy: float) -> float:
    """Estimate without labels how much more accurate the mean of several models is than one of them.

    Where the models agree, averaging changes nothing; where they differ, the mean says how likely each of
    their answers is. It is not sure enough (label smoothing, mixup and averaging itself flatten it), so its
    logarithm is multiplied by one inverse temperature for all clips, chosen so that the expected accuracy of
    one model is the known one. The gain is how much likelier the mean's own answers then are.
    (Differences between members as the source of an ensemble's gain: Krogh and Vedelsby 1995. Measured
    against OOF labels: docs/LOG.md, benchmarks/check_estimates.py.)

    Args:
        members: each model's probabilities (clips, classes) of the same clips.
        accuracy: expected accuracy of one of the models on these clips.

    Returns:
        The gain, >= 0; also 0 where the models differ more often than `accuracy` allows, for then it is not
        their accuracy on these clips.
    """
    mean = np.mean(members, axis=0)
    answers = [member.argmax(1)[:, None] for member in members]
    log = np.log(mean / mean.max(1, keepdims=True) + 1e-12)

    def expected(inverse_temperature: float) -> tuple[float, float]:
        """Return the expected accuracies of the mean and of one member."""
        probs = softmax(inverse_temperature * log, dtype=None)
        alone = np.mean([np.take_along_axis(probs, answer, 1).mean() for answer in answers])
        return float(probs.max(1).mean()), float(alone)

    low, high = INVERSE_TEMPERATURES
    if expected(high)[1] < accuracy:
        return 0.0
    for _ in range(BISECTIONS):  # a higher one makes most members' answers likelier
        middle = math.sqrt(low * high)
        low, high = (middle, high) if expected(middle)[1] < accuracy else (low, middle)
    together, alone = expected(low)
    return together - alone


def constant_classes(predicted: NDArray[Any], label: NDArray[Any], classes: NDArray[Any]) -> tuple[str, ...]:
    """Return the signs of a collapsed model: the one class that it predicts, or those hardly ever predicted.

    Hardly ever means below a tenth of the class's share of the labels.
    """
    share = {c: float((predicted == c).mean()) for c in classes}
    only = [c for c, s in share.items() if s > 0.98]
    if only and float((label == only[0]).mean()) < 0.9:
        return (str(only[0]),)
    true = {c: float((label == c).mean()) for c in classes}
    return tuple(str(c) for c in classes if share[c] < 0.1 * true[c])
