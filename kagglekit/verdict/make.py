"""Make the verdict of a competition."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kagglekit.files.workspace import Workspace
from kagglekit.scoring.forecast import CvVsLb, cv_vs_lb
from kagglekit.scoring.metrics import Metric
from kagglekit.submission.ledger import cv_public_pairs, scored_entries
from kagglekit.terminal import console
from kagglekit.verdict.evidence import evidence_of, saved_evidence
from kagglekit.verdict.verdict import Verdict, judge

if TYPE_CHECKING:
    from kagglekit.data.prepare import Prepared


def verdict_on(prepared: Prepared) -> Verdict:
    """Judge the validation; the clips are compared once and the result is kept.

    Raises:
        KagglekitError: clips or the log of submissions cannot be read.
    """
    metric = prepared.task.metric
    return judge(evidence_of(prepared), _past(prepared.workspace, metric), metric)


def verdict_or_note(prepared: Prepared) -> Verdict | None:
    """Judge the validation for a verb that must not fail by it; a note says why there is no verdict."""
    try:
        return verdict_on(prepared)
    except Exception as error:  # whatever it is, a submission is worth more than the verdict beside it
        console.note(f"no verdict on the validation: {error}")
        return None


def saved_verdict(workspace: Workspace, metric: Metric) -> Verdict | None:
    """Judge by what an earlier verdict has kept, without opening clips; None where there is nothing."""
    evidence = saved_evidence(workspace)
    return None if evidence is None else judge(evidence, _past(workspace, metric), metric)


def _past(workspace: Workspace, metric: Metric) -> CvVsLb | None:
    pairs = cv_public_pairs(scored_entries(workspace, metric))
    return cv_vs_lb(pairs) if pairs else None
