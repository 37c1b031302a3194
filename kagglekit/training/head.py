"""The head: what a model's outputs mean, and how they become logits of the task's classes."""

import math
from dataclasses import dataclass

import polars as pl
import torch
from torch import Tensor

from kagglekit.config.names import LabelKind
from kagglekit.scoring.thresholds import FLOOR, ThresholdRule, Thresholds, rule_for

DOUBLE = "_double_"
"""Output of clips that augmentation makes of two words."""


@dataclass(frozen=True)
class Head:
    """Maps a model's outputs to the classes."""

    outputs: tuple[str, ...]
    """One name per output: classes, words and DOUBLE, or a checkpoint's labels."""
    class_of: tuple[int, ...]
    """Index of each output's class; -1: it has none, as an auxiliary one."""
    classes: tuple[str, ...]
    words: bool
    """Whether outputs are words."""

    double: int | None
    """Output of a clip made of two words: a filler. None if there is no filler class."""
    rule: ThresholdRule | None = None
    """How classes without an output are predicted; None if every class has one."""
    thresholds: Thresholds | None = None
    """Thresholds of the rule; None to return the logits before the rule."""
    kind: LabelKind = LabelKind.SINGLE
    """Multi: each output is the log-odds of its class."""
    pool: str = "mean"
    """How the windows of a clip are joined: mean of their probabilities, or max of each class's logit."""

    @property
    def direct(self) -> bool:
        """Whether the first outputs are the classes, in order; only auxiliary ones may follow."""
        return (
            self.rule is None
            and self.class_of[: len(self.classes)] == tuple(range(len(self.classes)))
            and (set(self.class_of[len(self.classes) :]) <= {-1})
        )

    def collapse(self, logits: Tensor) -> Tensor:
        """Map outputs to classes, (batch, outputs) -> (batch, classes).

        Returns the logits where outputs are classes, else the log of each class's summed probability, or
        what the rule makes of it.
        """
        if self.direct:
            return logits[:, : len(self.classes)]
        log_probs = logits.log_softmax(1)
        members = torch.tensor(self.class_of)
        by_class = [self._join(log_probs[:, members == c]) for c in range(len(self.classes))]
        joined = torch.stack(by_class, 1)
        if self.rule is None:
            return joined
        if not self.rule.has_silence_output:
            rest = 1 - joined.exp().sum(1)  # silence was at the floor
            joined[:, self.rule.silence] = rest.clamp(min=FLOOR).log()
        if self.thresholds is None:
            return joined
        return torch.from_numpy(self.rule.apply(joined.numpy(), self.thresholds))

    def _join(self, log_probs: Tensor) -> Tensor:
        """Sum a class's outputs, or take their maximum under a rule: (batch, members) -> (batch,)."""
        if log_probs.shape[1] == 0:
            return log_probs.new_full((len(log_probs),), math.log(FLOOR))
        return log_probs.logsumexp(1) if self.rule is None else log_probs.amax(1)

    def mean(self, views: Tensor) -> Tensor:
        """Average the probabilities of views: logits (views, clips, classes) to logits (clips, classes)."""
        if self.kind is LabelKind.MULTI:
            return views.sigmoid().mean(0).logit(eps=1e-6)  # float32 cannot hold less beside 1
        # Under a rule, logits are logarithms of scores that need not sum to 1, and keep their scale.
        probs = views.softmax(2) if self.rule is None else views.exp()
        return probs.mean(0).clamp(min=FLOOR).log()

    def joined(self, windows: Tensor) -> Tensor:
        """Join the windows of a clip: logits (windows, classes) to logits (classes,)."""
        if self.pool == "mean":
            return self.mean(windows[:, None])[0]
        single = self.kind is LabelKind.SINGLE and self.rule is None
        return (windows.log_softmax(1) if single else windows).amax(0)

    def targets(self, clips: pl.DataFrame) -> Tensor:
        """Return the output index of each training clip, int64 (clips,)."""
        index = {name: i for i, name in enumerate(self.outputs)}
        column = "word" if self.words else "label"
        return torch.tensor([index[name] for name in clips[column].to_list()])


def make_head(
    clips: pl.DataFrame,
    classes: tuple[str, ...],
    labels: str,
    filler: str | None,
    silence: str | None = None,
    only: tuple[str, ...] = (),
    kind: LabelKind = LabelKind.SINGLE,
    auxiliary: tuple[str, ...] = (),
) -> Head:
    """Choose the outputs of a model trained on `clips`.

    Args:
        clips: training rows of every fold, so that all folds have the same outputs.
        classes: the task's classes, filler last.
        labels: the label scheme: "targets" or "cascade", "words", or "words_threshold".
        filler: the class of DOUBLE; None for no such output.
        silence: the class that words_threshold does not train.
        only: the classes to train; empty for all.
        auxiliary: further outputs, of no class; none where `only` names the classes.
    """
    if filler is not None and only and filler not in only:
        filler = None
    if labels in ("targets", "cascade"):
        outputs = tuple(name for name in classes if name in only) if only else classes
        double = None if filler is None else outputs.index(filler)
        class_of = tuple(classes.index(name) for name in outputs)
        if not only:
            outputs, class_of = outputs + auxiliary, class_of + (-1,) * len(auxiliary)
        return Head(outputs, class_of, classes, False, double, kind=kind)
    if labels == "words_threshold":
        clips = clips.filter(pl.col("label") != silence)
    pairs = dict(sorted(clips.select("word", "label").unique().iter_rows()))
    if filler is not None:
        pairs[DOUBLE] = filler
    class_of = tuple(classes.index(label) for label in pairs.values())
    double = None if filler is None else len(pairs) - 1
    rule = rule_for(labels, len(classes), class_of)
    return Head(tuple(pairs), class_of, classes, words=True, double=double, rule=rule)
