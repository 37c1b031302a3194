"""Parallel coordinates: what each trial of a search chose, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from kagglekit.charts.svg import Picture, line, path, shortened, text

GAP, HEIGHT, TOP, LEFT = 112, 310, 80, 64  # px: between two axes, all, above the axes, before the first
LONGEST = 16  # letters of an axis' name


class Axis(NamedTuple):
    """One axis: where each trial crosses it, and what stands beside it."""

    name: str
    places: Sequence[float | None]
    """A trial's height in [0, 1]; None where it has no such parameter."""
    ticks: Sequence[tuple[float, str]]
    """(height, label)."""


def parallel(axes: Sequence[Axis], notes: Sequence[str], best: int, *, title: str) -> Picture:
    """A broken line for each trial across all axes, the best in colour.

    Args:
        axes: at least two, of the same trials.
        notes: what each line says under the mouse.
        best: the trial to stand out.
        title: above.
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
        # names of neighbours would run into each other on one line
        body.append(text(x, TOP - (10 if k % 2 else 24), shortened(axis.name, LONGEST), "muted", "middle"))
        body += [text(x + 4, height(place) + 4, label) for place, label in axis.ticks]
    return Picture(LEFT + GAP * (len(axes) - 1) + 72, HEIGHT, title, "\n".join(body))
