"""Lines and dots over two axes: learning curves, reliability diagrams, search histories."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from kagglekit.charts.svg import Picture, Scale, axes, dot, group, legend, line, path, series, text

WIDTH, HEIGHT = 480, 300  # px, margins included
LEFT, RIGHT, BOTTOM = 64, 20, 50


class Series(NamedTuple):
    """The points of one line."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    marks: Literal["line", "dots", "both"] = "line"
    notes: Sequence[str] = ()
    """The tooltip of each point; by default its coordinates."""


def curves(
    drawn: Sequence[Series],
    *,
    title: str,
    x_name: str,
    y_name: str,
    whole: bool = True,
    diagonal: bool = False,
    limits: tuple[float, float] | None = None,
) -> Picture:
    """Draw several series over the same axes.

    Args:
        drawn: at least one series, with at least one finite point in all.
        whole: put x ticks on whole numbers only.
        diagonal: draw the line x = y.
        limits: the ends of both axes; by default those of the data.
    """
    named = [one for one in drawn if one.name]
    keys, last = (
        legend([one.name for one in named], LEFT, 44, WIDTH - LEFT - RIGHT) if len(named) > 1 else ([], 24)
    )
    top = last + 18
    across = [value for one in drawn for value in one.x]
    up = [value for one in drawn for value in one.y]
    x_ends, y_ends = limits or (min(across), max(across)), limits or (min(up), max(up))
    x = Scale(*x_ends, LEFT, WIDTH - RIGHT, whole=whole)
    y = Scale(*y_ends, HEIGHT - BOTTOM, top, most=5)
    body = [text(LEFT, 24, title, "title"), *keys, *axes(x, y, x_name, y_name)]
    if diagonal:
        body.append(line((x(x.low), y(x.low)), (x(x.high), y(x.high)), "equal"))
    body += [group(k, _marks(one, k, x, y)) for k, one in enumerate(drawn)]
    return Picture(WIDTH, HEIGHT, title, "\n".join(body))


def _marks(one: Series, k: int, x: Scale, y: Scale) -> list[str]:
    points = [(x(a), y(b)) for a, b in zip(one.x, one.y, strict=True)]
    marks = []
    if one.marks != "dots" and len(points) > 1:
        marks.append(path(points, f"line {series(k)}"))
    # a line alone has nothing for the mouse to point at; small dots do not hide it
    radius = 2.2 if one.marks == "line" else 4
    notes = one.notes or [f"{x.label(a)}: {b:.4f}" for a, b in zip(one.x, one.y, strict=True)]
    tips = [f"{one.name}, {note}" if one.name else note for note in notes]
    return marks + [dot(a, b, series(k), tip, radius) for (a, b), tip in zip(points, tips, strict=True)]
