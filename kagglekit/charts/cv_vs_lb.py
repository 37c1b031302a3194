"""A scatter plot of CV scores against public scores."""

from collections.abc import Sequence
from typing import NamedTuple

from kagglekit.charts.svg import LETTER, LINE, Picture, Scale, axes, dot, line, shortened, text
from kagglekit.errors import KagglekitError
from kagglekit.scoring.forecast import cv_vs_lb, summary
from kagglekit.scoring.metrics import Metric
from kagglekit.submission.ledger import Entry, cv_public_pairs

BAND = 0.015
"""Largest tolerated |CV - public|: half the width of the band in the chart."""
SIDE = 480  # px of the square plot
LEFT, TOP, RIGHT, BOTTOM = 72, 64, 24, 56  # px around it
LONGEST = 30  # letters of a label; the tooltip shows all of it


def picture(sent: Sequence[Entry], metric: Metric) -> Picture:
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
    return scatter(points, note=summary(cv_vs_lb(scores), metric), band=BAND)


class Point(NamedTuple):
    """A submission: CV and public score, and its name."""

    x: float
    y: float
    name: str


def scatter(points: Sequence[Point], *, note: str, band: float) -> Picture:
    """Draw CV and public scores against each other on equal axes.

    Args:
        points: at least one; all finite.
        note: stands below the title.
        band: half the width of the band around the diagonal, in units of the score.
    """
    values = [value for point in points for value in (point.x, point.y)]
    spare = max(0.1 * (max(values) - min(values)), 0.005)
    low, high = min(values) - spare, max(values) + spare
    x, y = Scale(low, high, LEFT, LEFT + SIDE), Scale(low, high, TOP + SIDE, TOP)
    title = "CV against public score"
    body = [
        text(LEFT, 26, title, "title"),
        text(LEFT, 46, note),
        *axes(x, y, "CV", f"public (band: CV ± {100 * band:g} points)"),
        *_diagonal(x, y, band),
        *_dots(x, y, list(dict.fromkeys(points))),
    ]
    return Picture(LEFT + SIDE + RIGHT, TOP + SIDE + BOTTOM, f"{title}: {note}", "\n".join(body))


def _diagonal(x: Scale, y: Scale, band: float) -> list[str]:
    """Draw the line x = y and the band around it, cut off at the edge of the plot."""
    low, high = x.low, x.high
    band = min(band, high - low)
    corners = [
        (low, low),
        (low, low + band),
        (high - band, high),
        (high, high),
        (high, high - band),
        (low + band, low),
    ]
    outline = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in corners)
    start, end = ((x(value), y(value)) for value in (low, high))
    return [f'<polygon class="band" points="{outline}"/>', line(start, end, "equal")]


def _dots(x: Scale, y: Scale, points: Sequence[Point]) -> list[str]:
    """Draw the dots, and their names beside them, moved down where they would overlap."""
    placed: list[tuple[float, float, float]] = []  # left, right and baseline of each name
    names, dots = [], []
    for point in sorted(points, key=lambda point: -point.y):
        across, up = x(point.x), y(point.y)
        short = shortened(point.name, LONGEST)
        before = across < LEFT + SIDE / 2
        left = across + 8 if before else across - 8 - LETTER * len(short)
        right, baseline = left + LETTER * len(short), up + 4
        for other_left, other_right, other in sorted(placed, key=lambda name: name[2]):
            if left < other_right and other_left < right and abs(baseline - other) < LINE:
                baseline = other + LINE
        placed.append((left, right, baseline))
        edge = left if before else right
        if baseline - up - 4 > LINE / 2:
            names.append(line((across, up), (edge, baseline - 4), "leader"))
        names.append(text(edge, baseline, short, anchor="start" if before else "end"))
        dots.append(dot(across, up, "s1", f"{point.name}: {point.x:.4f}, {point.y:.4f}"))
    return [*names, *dots]
