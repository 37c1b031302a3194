"""A scatter plot of CV scores against public scores."""

from collections.abc import Sequence

from kagglekit.charts.scatter import Point, scatter
from kagglekit.charts.svg import Picture
from kagglekit.errors import KagglekitError
from kagglekit.scoring.forecast import cv_vs_lb, summary
from kagglekit.submission.ledger import Entry, cv_public_pairs

BAND = 0.015
"""Largest tolerated |CV - public|: half the width of the band in the chart."""


def picture(sent: Sequence[Entry]) -> Picture:
    """Draw CV against public scores, a dot for each submission.

    Raises:
        KagglekitError: no submission has both scores.
    """
    if not sent:
        raise KagglekitError(
            "no submission has both a CV and a public score, so there is nothing to draw",
            hint="send one (kagglekit submit --upload), or fetch late scores: kagglekit leaderboard --sync",
        )
    scores = cv_public_pairs(sent)
    points = [
        Point(cv, public, "+".join(entry.models) or entry.csv)
        for entry, (cv, public) in zip(sent, scores, strict=True)
    ]
    return scatter(
        points,
        title="CV against public score",
        note=summary(cv_vs_lb(scores)),
        x_name="CV",
        y_name=f"public (band: CV ± {100 * BAND:g} points)",
        band=BAND,
    )
