"""Pseudo-labels: train on test clips that an ensemble is sure of (noisy student, arXiv:1911.04252).

Nothing may leak into OOF. Fold k's student is judged on fold k's speakers and unseen words, so nothing that
has learnt from them may teach it:

- Fold k's test clips are labelled by fold k's models alone; the mean over all folds, which is what is
  submitted, has learnt from fold k's clips.
- The teachers are blended by their unweighted mean, for which nothing is fitted.
- The thresholds of fold k are fitted on the OOF of the other folds. The models behind that OOF have learnt
  from fold k, but only one number per class is passed on.
- A test clip that is a copy of a training clip, or whose name says that its speaker is one of fold k's, does
  not join fold k's training.

One difference stays: the student learns from the test's own voices and words, so it may gain more on the test
than OOF shows, since OOF's speakers are not the test's. The audit applies the same rule to OOF, where labels
are known, with the thresholds of the other folds.

Where a clip may have several classes, `pseudo_sets` says of which classes it is known whether they are in it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kagglekit.data.clips import training_rows
from kagglekit.data.prepare import Prepared
from kagglekit.distillation import pseudo_sets
from kagglekit.distillation.rules import MAX_ERRORS, MIN_CLIPS, NEVER, Audit, PseudoLabelRule
from kagglekit.distillation.teaching import Mask, may_teach, rows_without_labels, soft_table, teachers_logits
from kagglekit.ensemble.fitted import probs_to_blend
from kagglekit.errors import KagglekitError
from kagglekit.files import parquet
from kagglekit.files.atomic import building
from kagglekit.files.keys import key_of
from kagglekit.runs.store import Run
from kagglekit.scoring.numerics import Floats
from kagglekit.scoring.oof import Oof
from kagglekit.training.soft_targets import folder_of, table_path, write_facts

VERSION = 2


class PseudoLabels(NamedTuple):
    """The pseudo-labels of all folds."""

    key: str
    audit: Audit
    counts: dict[str, float]
    """Test clips of each class that join a fold's training, mean over the folds."""


class Votes(NamedTuple):
    """What several runs predict, each field (clips,)."""

    answer: NDArray[np.int64]
    """Class of the mean of the runs."""
    confidence: Floats
    """Its mean probability."""
    agreed: Mask
    """Whether enough runs give the same answer."""

    def above(self, limits: Floats) -> Mask:
        """Return which clips have an agreed answer at least as likely as its class's threshold (classes,)."""
        return self.agreed & (self.confidence >= limits[self.answer])


def make(prepared: Prepared, runs: Sequence[Run], oof: Oof, rule: PseudoLabelRule) -> PseudoLabels:
    """Audit the rule on the runs' OOF predictions, and write the test clips that each fold learns from.

    Raises:
        KagglekitError: the rule labels no clip, or its precision on OOF is too low.
    """
    config, task, classes = prepared.config, prepared.task, prepared.task.classes
    if not len(rows_without_labels(prepared.clips)):
        raise KagglekitError(
            f"there is nothing to pseudo-label: no test recordings match {config.data.test.files}",
            hint="the host shows them to a notebook alone; name recordings without labels as data.unlabelled",
        )
    judge, label = (pseudo_sets.audit, pseudo_sets.label) if task.multi else (audit, _label)
    audited = judge(oof, rule, classes)
    if audited.coverage == 0:
        raise KagglekitError(
            f"the rule labels no clip: on OOF, no class has a precision of {rule.precision:.3g} where "
            f"{rule.agree} of {len(runs)} runs agree",
            hint=f"lower --precision or --agree, or name better models; a class needs {MIN_CLIPS} such clips",
        )
    if audited.precision < rule.precision:
        raise KagglekitError(
            f"the precision of pseudo-labels on OOF is {audited.precision:.4f}, less than {rule.precision:g}",
            hint="raise --agree, or name better models",
        )
    identities = sorted(run.id for run in runs)
    key = key_of("pseudo", VERSION, prepared.key, identities, rule, config.validation.prior)
    with building(folder_of(prepared.workspace, key), key) as folder:
        if folder is not None:
            for fold in range(config.validation.folds):
                labelled = label(prepared, runs, oof, rule, audited.left_out, fold)
                parquet.write(labelled, table_path(folder, fold))
            shifts = {run.id: run.score.shift for run in runs}
            write_facts(folder, "pseudo", shifts, {"rule": rule._asdict(), "audit": audited._asdict()})
    counts = dict.fromkeys(classes, 0.0)
    for fold in range(config.validation.folds):
        path = table_path(folder_of(prepared.workspace, key), fold)
        labelled = parquet.read(path, f"remove {path.parent} and run kagglekit pseudo again")
        named = task.each(labelled["label"]).explode().drop_nulls()
        for name, count in named.filter(named != "").value_counts().iter_rows():
            counts[name] += count / config.validation.folds
    return PseudoLabels(key, audited, counts)


def audit(oof: Oof, rule: PseudoLabelRule, classes: Sequence[str]) -> Audit:
    """Apply the rule to OOF: each fold's clips with the thresholds of the others.

    A class that is wrong more than twice as often as the rule allows is excluded: unseen words are taken for
    it, and the test has unseen words, too.
    """
    votes = vote(oof.probs, rule.agree)
    labelled = np.zeros(len(oof.target), bool)
    for number in np.unique(oof.fold):
        here = oof.fold == number
        labelled[here] = votes.above(thresholds(votes, oof, ~here, rule))[here]
    share, right = oof.share, votes.answer == oof.target
    by_class, left_out = {}, []
    for index, name in enumerate(classes):
        here = labelled & (votes.answer == index)
        precision = float(share[here] @ right[here] / share[here].sum()) if share[here].sum() > 0 else 0.0
        by_class[name] = (int(here.sum()), precision)
        if here.any() and precision < 1 - MAX_ERRORS * (1 - rule.precision):
            left_out.append(name)
            labelled &= ~here
    total = float(share[labelled].sum())
    return Audit(
        total, float(share[labelled] @ right[labelled]) / max(total, 1e-12), by_class, tuple(left_out)
    )


def vote(probs: Floats, agree: int) -> Votes:
    """Let runs vote by probabilities (runs, clips, classes); `agree` of them must give the mean's answer."""
    mean = probs.mean(0)
    answer = mean.argmax(1)
    return Votes(answer, mean.max(1), (probs.argmax(2) == answer).sum(0) >= agree)


def thresholds(votes: Votes, oof: Oof, rest: Mask, rule: PseudoLabelRule) -> Floats:
    """Fit the lowest probability above which a class is precise enough on the clips `rest`, (classes,).

    Precise enough is halfway from the required precision to 1: a threshold looks better on the clips that it
    was chosen on than on others.
    """
    wanted = (1 + rule.precision) / 2
    limits = np.full(oof.probs.shape[2], NEVER)
    for index in range(len(limits)):
        rows = np.flatnonzero(rest & votes.agreed & (votes.answer == index))
        rows = rows[np.argsort(-votes.confidence[rows], kind="stable")]
        if len(rows) < MIN_CLIPS:
            continue
        weight = oof.weight[rows]
        precision = np.cumsum(weight * (oof.target[rows] == index)) / np.maximum(np.cumsum(weight), 1e-12)
        enough = np.flatnonzero(precision[MIN_CLIPS - 1 :] >= wanted)
        if len(enough):
            limits[index] = votes.confidence[rows[MIN_CLIPS - 1 + enough[-1]]]
    return limits


def _label(
    prepared: Prepared,
    runs: Sequence[Run],
    oof: Oof,
    rule: PseudoLabelRule,
    left_out: Sequence[str],
    fold: int,
) -> pl.DataFrame:
    """Return the test clips that one fold learns from, with one-hot targets."""
    labels, classes = prepared.config.labels, prepared.task.classes
    limits = thresholds(vote(oof.probs, rule.agree), oof, oof.fold != fold, rule)
    votes = vote(probs_to_blend(teachers_logits(prepared, runs, fold), prepared.task), rule.agree)
    allowed = may_teach(prepared.config, prepared.clips, fold)
    chosen = _draw(prepared, votes.answer, votes.above(limits) & allowed, rule, fold)
    label = np.asarray(classes)[votes.answer[chosen]]
    part = np.where(label == labels.silence, "silence", "keyword")
    part = np.where(label == labels.filler, "seen", part)
    rows = rows_without_labels(prepared.clips)[chosen].with_columns(
        part=pl.Series(part, dtype=pl.String), label=pl.Series(label, dtype=pl.String)
    )
    table = soft_table(rows, np.eye(len(classes))[votes.answer[chosen]], None, prepared.task)
    return table.filter(~pl.col("label").is_in(left_out))


def _draw(
    prepared: Prepared, answer: NDArray[np.int64], allowed: Mask, rule: PseudoLabelRule, fold: int
) -> NDArray[np.int64]:
    """Draw the indices of the clips that join: of each class at most its share of the fold's training."""
    rows = training_rows(prepared.clips, fold, prepared.config, rule.seed)
    room = rule.share / (1 - rule.share) * len(rows)
    rng, chosen = np.random.default_rng([rule.seed, fold]), []
    for index, name in enumerate(prepared.config.labels.all_classes):
        cap = round(room * len(rows.filter(pl.col("label") == name)) / len(rows))
        candidates = np.flatnonzero(allowed & (answer == index))
        chosen.append(np.sort(rng.permutation(candidates)[:cap]))
    return np.concatenate(chosen)
