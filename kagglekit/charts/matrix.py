"""Matrices as shaded cells: confusion matrices and correlations."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kagglekit.charts.svg import LETTER, Picture, rect, shortened, text, upright

CELL, SMALL_CELL = 38, 24  # px; the latter from MANY classes on
MANY = 20
LONGEST = 16  # letters of a name beside the matrix
TOP = 58  # px above
PALE = 0.06  # least opacity of a cell that is not empty: a single clip must not look like none


def confusion(counts: NDArray[np.int64], classes: Sequence[str], *, percent: bool, title: str) -> Picture:
    """Draw a confusion matrix: right answers blue, wrong ones orange, darker for a larger share of the row.

    Args:
        counts: (classes, classes) clips; rows are true classes, columns predicted ones.
        percent: write percentages of each row instead of counts.
    """
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    size = CELL if len(classes) < MANY else SMALL_CELL
    left = 48 + LETTER * min(max(map(len, classes)), LONGEST)
    body = [text(left, 44, "predicted", "muted"), upright(18, TOP + size * len(classes) / 2, "true")]
    for row, true in enumerate(classes):
        for column, predicted in enumerate(classes):
            number, part = int(counts[row, column]), float(share[row, column])
            shown = f"{100 * part:.0f}" if percent else f"{number:,}"
            tip = f"{true} → {predicted}: {number:,} of {int(counts[row].sum()):,} clips, {100 * part:.1f} %"
            kind = "cell" if row == column else "cell off"
            where = (left + column * size, TOP + row * size, size)
            body += _cell(where, part if number else 0.0, shown if number else "", kind, tip)
    return _picture(title, classes, left, size, body)


def heatmap(values: NDArray[np.float64], names: Sequence[str], *, title: str) -> Picture:
    """Draw a symmetric matrix of correlations in [-1, 1], darker for higher ones; NaN is left empty."""
    size = CELL + 8
    left = 24 + LETTER * min(max(map(len, names)), LONGEST)
    body: list[str] = []
    for row, one in enumerate(names):
        for column, other in enumerate(names):
            value = float(values[row, column])
            finite = bool(np.isfinite(value))
            tip = f"{one} and {other}: {value:.3f}" if finite else f"{one} and {other}: not defined"
            where = (left + column * size, TOP + row * size, size)
            body += _cell(
                where, max(value, 0.0) if finite else 0.0, f"{value:.2f}" if finite else "", "cell", tip
            )
    return _picture(title, names, left, size, body)


def _picture(title: str, names: Sequence[str], left: float, size: float, cells: list[str]) -> Picture:
    """Write the title and the names around the cells."""
    side = size * len(names)
    slanted = 16 + 0.71 * LETTER * min(max(map(len, names)), LONGEST)  # px, height of the names below
    body = [text(left, 24, title, "title"), *_names(names, left, size), *cells]
    width = left + max(side, 9 * len(title)) + 24
    return Picture(width, TOP + side + slanted + 12, title, "\n".join(body))


def _cell(where: tuple[float, float, float], depth: float, shown: str, kind: str, tip: str) -> list[str]:
    x, y, size = where
    opacity = PALE + (1 - PALE) * min(depth, 1.0) if shown else 0.0
    box = rect(x, y, size, size, kind, tip, f'fill-opacity="{opacity:.2f}"')
    ink = ("num strong" if opacity > 0.55 else "num") + (" small" if size > SMALL_CELL else " tiny")
    label = text(x + size / 2, y + size / 2 + 4, shown, ink, "middle")
    return [box, label] if shown else [box]


def _names(names: Sequence[str], left: float, size: float) -> list[str]:
    """Write the names beside the rows, and slanted below the columns."""
    drawn = []
    bottom = TOP + size * len(names)
    for k, name in enumerate(names):
        short = shortened(name, LONGEST)
        drawn.append(text(left - 8, TOP + (k + 0.5) * size + 4, short, anchor="end"))
        at = f"translate({left + (k + 0.5) * size + 4:.1f} {bottom + 14:.1f}) rotate(-45)"
        drawn.append(f'<g transform="{at}">{text(0, 0, short, anchor="end")}</g>')
    return drawn
