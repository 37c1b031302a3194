"""Horizontal bars and histograms."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kagglekit.charts.svg import (
    LETTER,
    Picture,
    Scale,
    axes,
    group,
    legend,
    line,
    path,
    rect,
    series,
    shortened,
    text,
)

WIDTH = 480  # px, margins included
LONGEST = 24  # letters of a bar's name
ROW = 22  # px, height of a bar with its gap


class Bar(NamedTuple):
    """A bar: stacked values of several series, or one value with its interval."""

    name: str
    values: Sequence[float]
    label: str
    """The text at the bar's right end."""
    interval: tuple[float, float] | None = None


def bars(rows: Sequence[Bar], *, title: str, names: Sequence[str] = (), high: float | None = None) -> Picture:
    """Draw horizontal bars from zero.

    Args:
        rows: at least one bar, from top to bottom.
        names: the series that the values of each bar belong to; shown in the legend.
        high: the end of the scale; by default the longest bar.
    """
    left = 16 + LETTER * min(max(len(row.name) for row in rows), LONGEST)
    right = 12 + LETTER * max(len(row.label) for row in rows)
    keys, last = legend(names, 8, 46, WIDTH - 16) if names else ([], 24)
    top = last + 14
    longest = high or max(sum(row.values) for row in rows) or 1.0
    unit = (WIDTH - left - right) / longest
    body = [text(8, 24, title, "title"), *keys]
    for k, row in enumerate(rows):
        y = top + k * ROW
        body.append(text(left - 8, y + 15, shortened(row.name, LONGEST), anchor="end"))
        body += _stack(row, left, y, unit, names)
        end = left + unit * sum(row.values)
        if row.interval:
            low, up = (left + unit * value for value in row.interval)
            body.append(line((low, y + 11), (up, y + 11), "whisker"))
            body += [line((x, y + 7), (x, y + 15), "whisker") for x in (low, up)]
            end = max(end, up)
        body.append(text(end + 6, y + 15, row.label, "muted"))
    return Picture(WIDTH, top + ROW * len(rows) + 10, title, "\n".join(body))


def _stack(row: Bar, left: float, y: float, unit: float, names: Sequence[str]) -> list[str]:
    """Draw the values of a bar one after the other."""
    drawn, start = [], left
    for k, value in enumerate(row.values):
        tip = f"{row.name}, {names[k]}: {value:,g}" if names else f"{row.name}: {row.label}"
        if value:
            drawn.append(group(k, [rect(start, y + 3, unit * value, ROW - 6, f"bar {series(k)}", tip)]))
        start += unit * value
    return drawn


def histogram(
    drawn: Mapping[str, NDArray[np.int64]], edges: NDArray[np.float64], *, title: str, x_name: str
) -> Picture:
    """Draw several histograms over the same bins, each as a percentage of its own clips.

    Args:
        drawn: at least one series of clip counts per bin, (bins,), each with at least one clip.
        edges: (bins + 1,), equally spaced.
        x_name: the name of the x axis, with its unit.
    """
    height, left, right = 260, 64, 20
    keys, last = legend(list(drawn), left, 44, WIDTH - left - right)
    shares = [100 * counts / counts.sum() for counts in drawn.values()]
    x = Scale(float(edges[0]), float(edges[-1]), left, WIDTH - right)
    y = Scale(0, max(float(share.max()) for share in shares), height - 50, last + 18, most=5)
    body = [text(left, 24, title, "title"), *keys, *axes(x, y, x_name, "% of clips")]
    for k, ((name, counts), share) in enumerate(zip(drawn.items(), shares, strict=True)):
        heights = np.r_[0.0, np.repeat(share, 2), 0.0]
        outline = [(x(a), y(b)) for a, b in zip(np.repeat(edges, 2), heights, strict=True)]
        marks = [path(outline, f"line {series(k)}")]
        for b, count in enumerate(counts):
            start, end = x(float(edges[b])), x(float(edges[b + 1]))
            tip = f"{name}, {edges[b]:.4g} to {edges[b + 1]:.4g}: {count:,} clips, {share[b]:.1f} %"
            top, kind = y(share[b]), f"bar {series(k)}"
            marks.append(rect(start, top, end - start, y.start - top, kind, tip, 'fill-opacity=".12"'))
        body.append(group(k, marks))
    return Picture(WIDTH, height, title, "\n".join(body))
