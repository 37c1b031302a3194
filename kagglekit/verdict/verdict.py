"""Judge by the evidence: may the CV score be trusted, its ranking alone, or can it not be known?"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from kagglekit.errors import listed, plural
from kagglekit.scoring.forecast import CvVsLb
from kagglekit.scoring.metrics import Metric
from kagglekit.verdict.evidence import Evidence
from kagglekit.verdict.facts import DomainGap, Groups

Level = Literal["trust", "ranking", "unknown"]
WORDS: dict[Level, str] = {
    "trust": "trust",
    "ranking": "trust the ranking, not the level",
    "unknown": "cannot be known",
}

# The next eight were chosen on seeds 5000 to 5099 of tests/support/planted_shifts.py; docs/results/verdict.md
# judges them on others.
UNSEEN_AUC = 0.75  # from which test clips can be told from training clips
FAR = 0.88  # and from which they lie beyond the folds' validation clips
APART_AUC = 0.95  # or from which they can surely be told from training clips
SHIFT = 1.9  # and from which one of their statistics is beyond those of the training groups
MOST_FAR = 0.98  # from which they do so where groups are few
NEW_SOUNDS = 0.12  # share of test clips that sound like no training clip
SOME_NEW_SOUNDS = 0.04  # lower end of its 95 % interval: twice the share beyond distance.USUAL
OTHER_MIX = 0.65  # lower end of an AUC that no fold reaches: the test has another mix of what is known

FEW = 5.0  # groups: of so few, an interval by Student's t is 1.4 times the usual one
TOO_FEW = 2.0
ALONE = 0.1  # share of validated clips whose class has no second group
PAIRS = 5  # earlier scores, below which they judge nothing
BIAS = 0.01  # a point, as of the report's band around CV = public


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether the CV score says what the leaderboard will show."""

    level: Level
    sentence: str
    """`cannot be known: unseen recording conditions (AUC 0.97, ...)`"""
    notes: tuple[str, ...]
    """What it is based on, a line each."""
    evidence: Evidence
    past: CvVsLb | None
    """Earlier CV scores against public ones; None where no submission has both."""

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable dict."""
        found = asdict(self.evidence)
        return {
            "level": self.level,
            "sentence": self.sentence,
            "notes": list(self.notes),
            "groups": found["groups"],
            "domain": found["compared"],
            "cv_vs_lb": None if self.past is None else self.past._asdict(),
        }


def judge(evidence: Evidence, past: CvVsLb | None, metric: Metric) -> Verdict:
    """Judge the validation.

    Args:
        past: earlier CV scores by this metric against this host's public scores.
    """
    unknown = [*_unknown(evidence), *_contradicted(past)]
    ranking = [*_level_unknown(evidence), *_biased(past, metric)]
    level: Level = "unknown" if unknown else "ranking" if ranking else "trust"
    reasons = unknown or ranking
    if past is not None and _ranks(past):
        if level == "unknown" and not list(_contradicted(past)):
            level = "ranking"
            reasons = [f"{unknown[0]}; {_ranking_text(past)}"]
    elif level != "unknown" and (hidden := _hidden(evidence)):
        level, reasons = "unknown", [hidden]
    text = "; ".join(reasons[:2]) if reasons else _trusted(evidence, past)
    return Verdict(
        level=level,
        sentence=f"{WORDS[level]}: {text}",
        notes=tuple(_notes(evidence, past, metric)),
        evidence=evidence,
        past=past,
    )


# --- reasons, the gravest first ---


def _unknown(evidence: Evidence) -> Iterator[str]:
    groups, compared = evidence.groups, evidence.compared
    if compared is not None and _is_unseen(compared, groups):
        name = "the test" if compared.split == "test" else f"{compared.split} recordings"
        yield f"unseen recording conditions ({_auc(compared)}; {name}: {compared.differences[0].text})"
    elif compared is not None and _has_new_sounds(compared):
        share = f"{100 * compared.new_sounds:.0f} % of the {compared.split} clips"
        yield f"{share} sound like nothing in the training data, as new classes do"
    if groups.named and groups.effective <= TOO_FEW:
        yield f"the folds are made of {_groups(groups)}: what is new in the test varies as they do"


def _level_unknown(evidence: Evidence) -> Iterator[str]:
    groups, compared = evidence.groups, evidence.compared
    if compared is not None and not _is_unseen(compared, groups) and _is_other_mix(compared):
        why = compared.differences[0].text
        yield f"the {compared.split} clips differ more than any fold ({_auc(compared)}; {why})"
    if groups.named and TOO_FEW < groups.effective < FEW:
        yield f"the folds are made of {_groups(groups)}, too few for an interval"
    if groups.alone_share > ALONE:
        yield (
            f"{100 * groups.alone_share:.0f} % of the validated clips have a class without a second group "
            f"({listed(groups.alone, 5)}), which no fold can train on and validate"
        )


def _contradicted(past: CvVsLb | None) -> Iterator[str]:
    if past is None or past.pairs < PAIRS or past.rank_interval is None:
        return
    if past.rank_interval[1] < 0:
        yield f"{_ranking_text(past)}, the wrong way round"


def _biased(past: CvVsLb | None, metric: Metric) -> Iterator[str]:
    if past is None or past.pairs < PAIRS or past.mean_interval is None:
        return
    low, high = past.mean_interval
    if (low > 0 or high < 0) and (not metric.in_points or abs(past.mean) > BIAS):
        yield _bias_text(past, metric)


def _hidden(evidence: Evidence) -> str:
    """Return why nothing can be said where there are no clips to compare; "" where annotations judge."""
    if evidence.compared is not None or (evidence.groups.test_domain and evidence.groups.named):
        return ""
    if evidence.problem:
        return f"the clips could not be compared: {evidence.problem}"
    return "there are too few test or unlabelled clips to compare with the training data"


def _is_unseen(compared: DomainGap, groups: Groups) -> bool:
    """Tell whether the test's clips are elsewhere than all that folds train on.

    They are, if they are further away than validation clips, or if one statistic of theirs is where that of
    no training group is.
    """
    is_far = compared.auc >= UNSEEN_AUC and compared.far >= _far(groups)
    return is_far or (compared.auc >= APART_AUC and compared.shift >= SHIFT)


def _far(groups: Groups) -> float:
    """Return from which AUC on one of distances is beyond chance.

    With as many groups as the folds have, and half as many in the test, it has the standard deviation of a
    rank sum (Mann and Whitney 1947).
    """
    first = max(groups.effective, 1.0)
    second = first / 2
    chance = math.sqrt((first + second + 1) / (12 * first * second))
    return min(max(FAR, 0.5 + 2.33 * chance), MOST_FAR)


def _has_new_sounds(compared: DomainGap) -> bool:
    share, count = compared.new_sounds, compared.test_clips
    low = share - 1.96 * math.sqrt(share * (1 - share) / count)
    return share >= NEW_SOUNDS and share > compared.fold_new_sounds and low > SOME_NEW_SOUNDS


def _is_other_mix(compared: DomainGap) -> bool:
    return compared.auc_low >= OTHER_MIX and (compared.fold_auc is None or compared.auc > compared.fold_auc)


def _ranks(past: CvVsLb) -> bool:
    return past.pairs >= PAIRS and past.rank_interval is not None and past.rank_interval[0] > 0


# --- words ---


def _trusted(evidence: Evidence, past: CvVsLb | None) -> str:
    groups, compared = evidence.groups, evidence.compared
    reasons = []
    if groups.test_domain:
        unseen = f", from {_groups(groups)} that a fold has not heard" if groups.named else ""
        reasons.append(f"{plural(groups.clips, 'annotated clip')} of the test's own domain judge{unseen}")
    if compared is not None:
        reasons.append(
            f"{compared.split} clips differ from training clips no more than folds do ({_auc(compared)})"
        )
    if compared is not None and groups.named and compared.far <= 1 - _far(groups):
        reasons.append(
            "the folds hold out groups that the test seems to share, so that the public score may be higher"
        )
    if past is not None and _ranks(past):
        reasons.append(_ranking_text(past))
    if groups.named and not groups.test_domain:
        reasons.append(f"the folds hold out {_groups(groups)}")
    return "; ".join(reasons[:3])


def _auc(compared: DomainGap) -> str:
    return f"AUC {compared.auc:.2f}, 95 % {compared.auc_low:.2f} to {compared.auc_high:.2f}"


def _groups(groups: Groups) -> str:
    text = plural(groups.groups, "group")
    uneven = groups.groups - groups.effective > 0.2 * groups.groups and groups.effective < 2 * FEW
    return f"{text}, as uneven as {groups.effective:.1f} of one size" if uneven else text


def _ranking_text(past: CvVsLb) -> str:
    assert past.rank is not None and past.rank_interval is not None
    low, high = past.rank_interval
    return (
        f"{past.pairs} earlier CV scores rank with the public ones by {past.rank:.2f} "
        f"(95 % {low:.2f} to {high:.2f})"
    )


def _bias_text(past: CvVsLb, metric: Metric) -> str:
    assert past.mean_interval is not None
    mean, low, high = map(metric.difference, (past.mean, *past.mean_interval))
    return (
        f"CV - public was {mean}{metric.unit} on average (95 % {low} to {high}) "
        f"in {plural(past.pairs, 'submission')}"
    )


def _notes(evidence: Evidence, past: CvVsLb | None, metric: Metric) -> Iterator[str]:
    groups, compared = evidence.groups, evidence.compared
    if groups.named:
        yield f"folds: {plural(groups.clips, 'clip')} of {_groups(groups)}"
    else:
        text = f"folds: {plural(groups.clips, 'clip')} without a group"
        yield f"{text}: clips of one source may be in two folds"
    if groups.alone:
        count = sum(groups.alone.values())
        yield (
            f"without a second group: {len(groups.alone)} class{'es' * (len(groups.alone) > 1)} of "
            f"{plural(count, 'clip')} ({listed(groups.alone, 12)}); no fold trains on and validates them"
        )
    if compared is not None:
        yield from _compared_notes(compared)
    elif evidence.problem:
        yield f"not compared: {evidence.problem}"
    if past is not None and past.mean_interval is not None:
        yield _bias_text(past, metric)
    if past is not None and past.rank_interval is not None:
        yield _ranking_text(past)


def _compared_notes(compared: DomainGap) -> Iterator[str]:
    first, length = compared.differences[0], compared.differences[-1]
    clips = f"{compared.train_clips:,} training and {compared.test_clips:,} {compared.split} clips"
    folds = "" if compared.fold_auc is None else f"; a fold against the others up to {compared.fold_auc:.2f}"
    yield f"domain classifier of {clips}: {_auc(compared)}{folds}"
    yield f"differs most: {first.text} (AUC {first.auc:.2f} alone)"
    yield f"backgrounds further from training clips than those of validation clips: AUC {compared.far:.2f}"
    new, usual = (f"{100 * share:.0f} %" for share in (compared.new_sounds, compared.fold_new_sounds))
    yield f"sounds like nothing in the training data: {new} of the clips, in a fold up to {usual}"
    if abs(length.auc - 0.5) > 0.4:
        yield f"{length.text}: models hear audio.seconds of either"
