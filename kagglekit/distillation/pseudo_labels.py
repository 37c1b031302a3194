"""Pseudo-labels: test clips on which an ensemble is sure join the training (noisy student, arXiv:1911.04252).

What must not leak into OOF. Fold k's student is judged on fold k's speakers and on words that fold k never
hears, so nothing that has learnt from them may teach it:

- Fold k's test clips are labelled by fold k's models alone; the mean over all folds, which is what is
  submitted, has heard fold k's clips.
- The teachers are blended by the plain mean, which is fitted on nothing.
- The thresholds of fold k are fitted on the OOF of the other folds. The models behind that OOF have learnt
  from fold k; what passes is one number a class.
- A test clip that is a training clip under another name, or whose name says that a speaker of fold k speaks,
  does not join fold k's training.

What stays: the student hears the test's own voices and words, so on the test it may gain more than OOF shows,
since OOF's speakers are none of the test's. The audit applies the same rule, thresholds of the other folds
and all, to OOF, where labels are known.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kagglekit.config import Config
from kagglekit.data.clips import training_rows
from kagglekit.data.prepare import Prepared
from kagglekit.distillation.facts import write_facts
from kagglekit.ensemble.blends import Floats, softmax_of
from kagglekit.ensemble.build import Library
from kagglekit.errors import KagglekitError
from kagglekit.files import tables
from kagglekit.files.atomic import building
from kagglekit.files.keys import key_of
from kagglekit.runs.store import Run, fold_logits
from kagglekit.training.soft_targets import FIELDS, folder_of, table_path

VERSION = 1
LEAST = 20  # clips of a class above a threshold: fewer say nothing of its precision
TOO_WRONG = 2.0  # times the errors that the rule allows: a class of so many is left out
NEVER = 2.0  # a threshold that no probability reaches


class Rule(NamedTuple):
    """When a clip's pseudo-label is taken."""

    agree: int
    """So many of the runs must give the same answer as their mean."""
    precision: float
    """What the audit must find."""
    share: float
    """Pseudo-labelled clips among those trained on, at most."""
    seed: int = 0
    """Draws among the clips that are sure enough."""


class Audit(NamedTuple):
    """The rule on OOF, where it is known what is right."""

    taken: float
    """Share of the OOF clips, weighed as the test has them."""
    precision: float
    """Share of those that are right."""
    by_class: dict[str, tuple[int, float]]
    """For each class: clips taken, and their precision."""
    left_out: tuple[str, ...]
    """Classes that are wrong too often, and in none of the other numbers."""


class Teaching(NamedTuple):
    """What was made."""

    key: str
    audit: Audit
    counts: dict[str, float]
    """Test clips by class that join a fold's training, mean over the folds."""


def make(
    prepared: Prepared,
    runs: Sequence[Run],
    library: Library,
    rule: Rule,
) -> Teaching:
    """Audit the rule, and write which test clips each fold learns from.

    Args:
        config, workspace, prepared: the competition.
        runs: the teachers.
        library: their OOF predictions, as `ensemble.build.load` reads them.
        rule: when a clip is taken.

    Raises:
        KagglekitError: the rule takes nothing, or is right too seldom.
    """
    classes = prepared.config.labels.classes
    audited = audit(library, rule, classes)
    if audited.taken == 0:
        raise KagglekitError(
            f"the rule is sure of no clip: no class is right on {rule.precision:.3g} of OOF where "
            f"{rule.agree} of {len(runs)} runs agree",
            hint="lower --precision or --agree, or take better models",
        )
    if audited.precision < rule.precision:
        raise KagglekitError(
            f"on OOF, pseudo-labels are right on {audited.precision:.4f} of the clips, "
            f"less than {rule.precision:g}",
            hint="raise --agree, or take better models",
        )
    key = key_of(
        "pseudo",
        VERSION,
        prepared.key,
        sorted(run.id for run in runs),
        rule,
        prepared.config.validation.prior,
    )
    counts = dict.fromkeys(classes, 0.0)
    with building(folder_of(prepared.workspace, key), key) as folder:
        if folder is not None:
            for fold in range(prepared.config.validation.folds):
                taken = _labelled(prepared, runs, library, rule, fold)
                taken = taken.filter(~pl.col("label").is_in(audited.left_out))
                tables.write(taken, table_path(folder, fold))
            write_facts(folder, "pseudo", runs, {"rule": rule._asdict(), "audit": audited._asdict()})
    for fold in range(prepared.config.validation.folds):
        taken = tables.read(table_path(folder_of(prepared.workspace, key), fold), "make it again")
        for label, count in taken["label"].value_counts().iter_rows():
            counts[label] += count / prepared.config.validation.folds
    return Teaching(key, audited, counts)


def audit(library: Library, rule: Rule, classes: Sequence[str]) -> Audit:
    """Apply the rule to OOF: each fold's clips with the thresholds of the others.

    A class that is wrong more than twice as often as the rule allows is left out of it: words that no fold
    hears are taken for it, and the test has such words as well.
    """
    oof = library.oof
    answer, sure, agreed = vote(oof.probs, rule.agree)
    taken = np.zeros(len(answer), bool)
    for number in np.unique(oof.fold):
        here = oof.fold == number
        limits = thresholds(answer, sure, agreed, oof.target, oof.weight, ~here, rule, len(classes))
        taken[here] = (agreed & (sure >= limits[answer]))[here]
    share, right = oof.weight / oof.weight.sum(), answer == oof.target
    by_class, left_out = {}, []
    for index, name in enumerate(classes):
        of = taken & (answer == index)
        precision = float(share[of] @ right[of] / share[of].sum()) if share[of].sum() > 0 else 0.0
        by_class[name] = (int(of.sum()), precision)
        if of.any() and precision < 1 - TOO_WRONG * (1 - rule.precision):
            left_out.append(name)
            taken &= ~of
    total = float(share[taken].sum())
    return Audit(total, float(share[taken] @ right[taken]) / max(total, 1e-12), by_class, tuple(left_out))


def vote(probs: Floats, agree: int) -> tuple[NDArray[np.int64], Floats, NDArray[np.bool_]]:
    """The mean's answer, its probability, and whether enough of the runs give it.

    Args:
        probs: (runs, clips, classes).
        agree: how many are enough.

    Returns:
        Three times (clips,).
    """
    mean = probs.mean(0)
    answer = mean.argmax(1)
    agreed = (probs.argmax(2) == answer).sum(0) >= agree
    return answer, mean.max(1), agreed


def thresholds(
    answer: NDArray[np.int64],
    sure: Floats,
    agreed: NDArray[np.bool_],
    target: NDArray[Any],
    weight: Floats,
    rest: NDArray[np.bool_],
    rule: Rule,
    classes: int,
) -> Floats:
    """(classes,): the lowest probability above which an answer is right often enough on the clips `rest`.

    Often enough is halfway from the wanted precision to 1: a threshold looks better on the clips that it was
    chosen on than on others.
    """
    wanted = (1 + rule.precision) / 2
    limits = np.full(classes, NEVER)
    for index in range(classes):
        of = np.flatnonzero(rest & agreed & (answer == index))
        of = of[np.argsort(-sure[of], kind="stable")]
        if len(of) < LEAST:
            continue
        precision = np.cumsum(weight[of] * (target[of] == index)) / np.maximum(np.cumsum(weight[of]), 1e-12)
        enough = np.flatnonzero(precision[LEAST - 1 :] >= wanted)
        if len(enough):
            limits[index] = sure[of[LEAST - 1 + enough[-1]]]
    return limits


def _labelled(
    prepared: Prepared, runs: Sequence[Run], library: Library, rule: Rule, fold: int
) -> pl.DataFrame:
    """The test clips that one fold learns from, with one-hot targets."""
    oof, classes = library.oof, prepared.config.labels.classes
    known = vote(oof.probs, rule.agree)
    limits = thresholds(*known, oof.target, oof.weight, oof.fold != fold, rule, len(classes))
    probs = np.stack([softmax_of(fold_logits(run.folder, fold)) for run in runs])
    answer, sure, agreed = vote(probs, rule.agree)
    allowed = may_teach(prepared.config, prepared.clips, library.test_clips, fold)
    taken = agreed & (sure >= limits[answer]) & allowed
    chosen = _capped(prepared, answer, taken, rule, fold)
    labels = np.asarray(classes)[answer[chosen]]
    part = np.where(labels == prepared.config.labels.silence, "silence", "keyword")
    part = np.where(labels == prepared.config.labels.filler, "seen", part)
    columns = {
        "clip_id": library.test_clips["clip_id"].to_numpy()[chosen],
        "part": part,
        "label": labels,
    }
    targets = np.eye(len(classes), dtype=np.float32)[answer[chosen]]
    table = pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String)).with_columns(
        targets=pl.Series(targets, dtype=pl.Array(pl.Float32, len(classes)))
    )
    return table.join(prepared.clips.select("clip_id", "split", "row"), on="clip_id").select(FIELDS)


def _capped(
    prepared: Prepared,
    answer: NDArray[np.int64],
    taken: NDArray[np.bool_],
    rule: Rule,
    fold: int,
) -> NDArray[np.int64]:
    """Places of the clips that join: no more of a class than its part of the fold's training has room for."""
    rows = training_rows(prepared.clips, fold, prepared.config, rule.seed)
    room = rule.share / (1 - rule.share) * len(rows)
    rng, chosen = np.random.default_rng([rule.seed, fold]), []
    for index, name in enumerate(prepared.config.labels.classes):
        cap = round(room * len(rows.filter(pl.col("label") == name)) / len(rows))
        places = np.flatnonzero(taken & (answer == index))
        chosen.append(np.sort(rng.permutation(places)[:cap]))
    return np.concatenate(chosen)


def may_teach(config: Config, clips: pl.DataFrame, test: pl.DataFrame, fold: int) -> NDArray[np.bool_]:
    """(test clips,): whether a test clip is neither a training clip's twin nor by a speaker of the fold."""
    labelled = clips.filter(pl.col("split") == "train")
    twins = set(labelled["sha1"].drop_nulls())
    speakers = set(labelled.filter(pl.col("fold") == fold)["speaker"].drop_nulls())
    told = re.compile(config.data.speaker_pattern) if config.data.speaker_pattern else None
    digests = test.select("clip_id").join(clips.select("clip_id", "sha1"), on="clip_id", how="left")
    allowed = []
    for clip_id, digest in digests.rows():
        speaker = told.search(clip_id.rpartition("/")[2]) if told else None
        allowed.append(digest not in twins and (speaker is None or speaker[1] not in speakers))
    return np.array(allowed, bool)
