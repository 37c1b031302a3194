"""Parallel coordinates: the parameters of each trial and its score."""

from collections.abc import Sequence
from typing import NamedTuple

from kagglekit.charts.svg import Picture, line, path, shortened, text

GAP, HEIGHT = 112, 310  # px: between two axes; of the chart
TOP, LEFT = 80, 64  # px: above the axes; left of the first
LONGEST = 16  # letters of an axis' name


class Axis(NamedTuple):
    """One parameter, or the score: where each trial crosses the axis, and its ticks."""

    name: str
    places: Sequence[float | None]
    """Each trial's height in [0, 1]; None where the trial lacks the parameter."""
    ticks: Sequence[tuple[float, str]]
    """(height, label)."""


def parallel(axes: Sequence[Axis], notes: Sequence[str], best: int, *, title: str) -> Picture:
    """Draw a broken line for each trial across all axes, the best one in colour.

    Args:
        axes: at least two, over the same trials.
        notes: the tooltip of each trial.
        best: the index of the trial to highlight.
    """
    bottom = HEIGHT - 24

    def height(place: float) -> float:
        return bottom - place * (bottom - TOP)

    lines = []
    for trial, note in enumerate(notes):
        places = [axis.places[trial] for axis in axes]
        points = [(LEFT + k * GAP, height(place)) for k, place in enumerate(places) if place is not None]
        kind = "line s1" if trial == best else "faint"
        lines.append((trial == best, path(points, f"trial {kind}", note)))
    body = [text(12, 24, title, "title"), *(mark for _, mark in sorted(lines, key=lambda one: one[0]))]
    for k, axis in enumerate(axes):
        x = LEFT + k * GAP
        body.append(line((x, TOP), (x, bottom), "axis"))
        # two heights in turn, because names of neighbours would overlap
        body.append(text(x, TOP - (10 if k % 2 else 24), shortened(axis.name, LONGEST), "muted", "middle"))
        body += [text(x + 4, height(place) + 4, label) for place, label in axis.ticks]
    return Picture(LEFT + GAP * (len(axes) - 1) + 72, HEIGHT, title, "\n".join(body))
